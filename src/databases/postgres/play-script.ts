// Plays what `pg_restore -f -` prints into the transaction that is open: SQL as it is, rows by COPY. No psql is needed.
import type { Client } from 'pg';
import { fail } from '../../model/failure.ts';
import { copyInto, type CopyInto } from './copy-in.ts';
import { complaintOf, runTool, type PostgresTools } from './tools.ts';

interface PlayOptions {
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
}

/** The whole dump, section by section: before the rows, the rows, after them. Throws POSTGRES_RESTORE_FAILED, and what the server says. */
export async function playDump(client: Client, tools: PostgresTools, file: string, options: PlayOptions): Promise<void> {
  await client.query(await sectionOf('pre-data', tools, file, options));
  await playRows(client, tools, file, options);
  await client.query(await sectionOf('post-data', tools, file, options));
}

async function sectionOf(section: string, tools: PostgresTools, file: string, { name, signal }: PlayOptions): Promise<string> {
  const printed = await runTool(tools.restore, [`--section=${section}`, '-f', '-', file], { signal });
  if (printed.code !== 0) throw fail('POSTGRES_RESTORE_FAILED', { name, error: complaintOf(printed, 'pg_restore') });
  return withoutRestrict(printed.stdout);
}

/** Two lines are for psql alone, and carry the same word. */
function withoutRestrict(script: string): string {
  const word = /^\\restrict (\w+)$/m.exec(script)?.[1];
  return word === undefined ? script : script.replace(`\\restrict ${word}\n`, '').replace(`\\unrestrict ${word}\n`, '');
}

const newline = 0x0a;

/** Line by line: in this section every statement has a line of its own, and rows stand between `COPY … FROM stdin;` and `\.`. */
async function playRows(client: Client, tools: PostgresTools, file: string, { name, signal }: PlayOptions): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  let copy: CopyInto | null = null;
  const onLine = async (line: string): Promise<void> => {
    const text = line.trim();
    // The transaction is ours, also where large objects would have one of their own.
    if (text === '' || text.startsWith('--') || text.startsWith('\\') || text === 'BEGIN;' || text === 'COMMIT;') return;
    if (/^COPY .* FROM stdin;$/.test(text)) copy = await copyInto(client, text);
    else await client.query(text);
  };
  const onOutput = async (chunk: Buffer): Promise<void> => {
    let data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (data.length > 0) {
      if (copy !== null) {
        const end = endOfRows(data);
        if (end === null) {
          // All but the last line, which may be the beginning of the end.
          const whole = data.lastIndexOf(newline) + 1;
          if (whole > 0) await copy.write(data.subarray(0, whole));
          data = data.subarray(whole);
          break;
        }
        if (end > 0) await copy.write(data.subarray(0, end));
        await copy.end();
        copy = null;
        data = data.subarray(end + 3);
      } else {
        const at = data.indexOf(newline);
        if (at < 0) break;
        await onLine(data.subarray(0, at).toString());
        data = data.subarray(at + 1);
      }
    }
    rest = Buffer.from(data);
  };
  const printed = await runTool(tools.restore, ['--section=data', '--single-transaction', '-f', '-', file], { signal, onOutput });
  if (printed.code !== 0) throw fail('POSTGRES_RESTORE_FAILED', { name, error: complaintOf(printed, 'pg_restore') });
}

/** Where the line `\.` begins; `null` where it does not stand in here as a whole. */
function endOfRows(data: Buffer): number | null {
  if (data.length >= 3 && data.subarray(0, 3).toString('latin1') === '\\.\n') return 0;
  const at = data.indexOf('\n\\.\n');
  return at < 0 ? null : at + 1;
}
