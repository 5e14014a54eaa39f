// Files with holes: where their data are, and how a tar tells it (GNU sparse format 1.0).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { bytesOf } from './names.ts';
import { padding } from './tar-header.ts';

/** Offset and length of a stretch of data; between two of them are zeros. */
export type Piece = [offset: number, length: number];

/** SEEK_DATA is 3 and SEEK_HOLE 4 on Linux; Node cannot ask, perl passes them on. Prints one line a file: offset:length pairs. */
const program = String.raw`
$| = 1; $/ = "\0";
while (my $name = <STDIN>) {
  chomp $name;
  my ($at, @pieces) = (0);
  if (open(my $file, '<', $name)) {
    my $size = -s $file;
    while ($at < $size) {
      my $data = sysseek($file, $at, 3);
      last unless $data;
      $data = 0 if $data eq '0 but true';
      my $hole = sysseek($file, $data, 4) or last;
      push @pieces, $data . ':' . ($hole - $data);
      $at = $hole;
    }
    print join(' ', $size, @pieces), "\n";
  } else { print "\n" }
}`;

/** By path, of each that could be looked at. Absolute paths; empty where this system cannot tell. */
export async function piecesOf(
  paths: readonly string[],
): Promise<ReadonlyMap<string, { readonly size: number; readonly pieces: readonly Piece[] }>> {
  const found = new Map<string, { readonly size: number; readonly pieces: readonly Piece[] }>();
  if (paths.length === 0 || process.platform !== 'linux') return found;
  const child = spawn('perl', ['-e', program], { stdio: ['pipe', 'pipe', 'ignore'] });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => void output.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(Buffer.concat(paths.flatMap((path) => [bytesOf(path), Buffer.of(0)])));
  const isDone = await once(child, 'close').then(
    ([code]) => code === 0,
    () => false,
  );
  if (!isDone) return found;
  for (const [index, line] of Buffer.concat(output).toString('latin1').split('\n').entries()) {
    const path = paths[index];
    const [size = '', ...pairs] = line.split(' ');
    if (path === undefined || size === '') continue;
    const pieces = pairs.map((pair): Piece => {
      const [offset, length] = pair.split(':').map(Number);
      return [offset ?? 0, length ?? 0];
    });
    found.set(path, { size: Number(size), pieces });
  }
  return found;
}

/** What comes before the data of a sparse file: how many pieces, and where each is, filled up to whole blocks. */
export function mapOf(pieces: readonly Piece[], size: number): Buffer {
  const last = pieces.at(-1);
  // A file that ends in a hole ends with an empty piece.
  const all = last !== undefined && last[0] + last[1] === size ? pieces : [...pieces, [size, 0]];
  const text = Buffer.from([all.length, ...all.flat()].map((number) => `${number}\n`).join(''));
  return Buffer.concat([text, Buffer.alloc(padding(text.length))]);
}

export function storedSize(pieces: readonly Piece[], size: number): number {
  return pieces.reduce((total, [, length]) => total + length, mapOf(pieces, size).length);
}
