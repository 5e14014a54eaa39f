// Extended attributes, ACLs among them, of many paths at once. Node cannot read or set them: `getfattr` and `setfattr` (Debian's package attr) can.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { bytesOf, nameOf } from './names.ts';

/** By name, in base64: `user.comment`, `system.posix_acl_access`, `security.capability`… */
export type Attributes = Readonly<Record<string, string>>;

/** Of those paths that have any. `null` where there is no `getfattr`. Paths are absolute; links are not followed. What has gone since has none. */
export async function readAttributes(paths: readonly string[]): Promise<ReadonlyMap<string, Attributes> | null> {
  if (paths.length === 0) return new Map();
  const input = Buffer.concat(paths.flatMap((path) => [bytesOf(path), Buffer.of(0)]));
  const output = await pipe(
    'xargs',
    ['-0', 'getfattr', '--absolute-names', '--no-dereference', '--dump', '--match=-', '--encoding=base64', '--'],
    input,
  );
  return output === null ? null : parse(output);
}

/** Gives each of these paths just these attributes. Throws what `setfattr` complains of. */
export async function writeAttributes(wanted: ReadonlyMap<string, Attributes>): Promise<void> {
  if (wanted.size === 0) return;
  const present = await readAttributes([...wanted.keys()]);
  if (present === null) throw new Error('getfattr and setfattr are missing (package attr)');
  for (const [path, attributes] of present) {
    const gone = Object.keys(attributes).filter((name) => !(name in (wanted.get(path) ?? {})) && !isOfSystem(name));
    // Bytes that are not UTF-8 can only come in through a pipe.
    for (const name of gone)
      await pipe('xargs', ['-0', 'setfattr', '--no-dereference', '-x', name, '--'], Buffer.concat([bytesOf(path), Buffer.of(0)]), {
        isStrict: true,
      });
  }
  const blocks = [...wanted].map(([path, attributes]) => {
    const lines = Object.entries(attributes).map(([name, value]) => `${escape(name)}=0s${value}\n`);
    return `# file: ${escape(bytesOf(path).toString('latin1'))}\n${lines.join('')}\n`;
  });
  await pipe('setfattr', ['--no-dereference', '--restore=-'], Buffer.from(blocks.join(''), 'latin1'), { isStrict: true });
}

/** Labels of the security system are the system's to give; what a program may do is not one of them. */
export function isOfSystem(name: string): boolean {
  return name.startsWith('security.') && name !== 'security.capability';
}

function escape(text: string): string {
  return text.replace(/[\\\n\r=]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** `null` where the program is not there. */
async function pipe(command: string, args: readonly string[], input: Buffer, { isStrict = false } = {}): Promise<string | null> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
  const output: Buffer[] = [];
  const complaints: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => void output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => void (complaints.length < 16 && complaints.push(chunk)));
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const code = await once(child, 'close').then(
    ([status]) => Number(status),
    () => 127,
  );
  // As xargs says that it could not find or run the program.
  if (code === 126 || code === 127) return null;
  if (code !== 0 && isStrict) throw new Error(Buffer.concat(complaints).toString().trim() || `${args[1]} ended with ${code}`);
  return Buffer.concat(output).toString('latin1');
}

function parse(output: string): ReadonlyMap<string, Attributes> {
  const found = new Map<string, Attributes>();
  for (const block of output.split('\n\n')) {
    const [first = '', ...lines] = block.split('\n');
    if (!first.startsWith('# file: ')) continue;
    const path = nameOf(Buffer.from(unescape(first.slice(8)), 'latin1'));
    const attributes: Record<string, string> = {};
    for (const line of lines) {
      const at = line.indexOf('=');
      const value = line.slice(at + 1);
      if (line !== '') attributes[unescape(at < 0 ? line : line.slice(0, at))] = at >= 0 && value.startsWith('0s') ? value.slice(2) : '';
    }
    found.set(path, attributes);
  }
  return found;
}

/** `\012` for what would break a line. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
