// One consistent dump of a live database with the digest of the same snapshot. Nobody is kept from working meanwhile.
import { open, rm, writeFile } from 'node:fs/promises';
import { constants } from 'node:fs';
import type { Client } from 'pg';
import { fail, messageOf } from '../../model/failure.ts';
import type { LogicalDigest } from '../../model/manifest.ts';
import { connectPostgres, type PostgresTarget } from './connect.ts';
import { digestInTransaction, withSequences, type SequenceValue } from './digest.ts';
import { libpqEnvironment } from './libpq.ts';
import { complaintOf, findTools, runTool, type PostgresTools } from './tools.ts';

export interface DumpOptions {
  /** As upgrade.yaml calls it. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
}

/** Rungs' own bookkeeping, which is no part of what is backed up. */
const leftOut = ['--exclude-schema=rungs', '--exclude-table=*._rungs_marker'];

/** Writes `file` (0600, of us alone), custom format. Throws POSTGRES_UNREACHABLE, POSTGRES_TOOLS_…, POSTGRES_DUMP_FAILED. */
export async function dumpPostgres(
  target: PostgresTarget,
  file: string,
  { name, signal }: DumpOptions,
): Promise<{ readonly logical: LogicalDigest }> {
  const client = await connectPostgres(target, { name, application: 'rungs backup', ...(signal === undefined ? {} : { signal }) });
  try {
    const tools = await findTools(name, await serverVersion(client));
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { rows } = await client.query<{ snapshot: string }>('SELECT pg_export_snapshot() AS snapshot');
    // Made by us first, so that nobody else can read it.
    await (await open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, 0o600)).close();
    const ended = new AbortController();
    const either = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
    const dumping = runTool(
      tools.dump,
      ['-Fc', `--snapshot=${rows[0]?.snapshot ?? ''}`, '--no-password', '--lock-wait-timeout=60s', ...leftOut, '-f', file],
      {
        env: await libpqEnvironment(target),
        signal: either,
      },
    );
    dumping.catch(() => undefined);
    let digest: LogicalDigest;
    try {
      digest = await digestInTransaction(client, signal);
    } catch (error) {
      ended.abort();
      await dumping.catch(() => undefined);
      // A dump that failed may have taken the connection with it; what the server says is told in any case.
      throw signal?.aborted === true ? error : fail('POSTGRES_DUMP_FAILED', { name, error: messageOf(error) }, {}, error);
    }
    const done = await dumping;
    if (done.code !== 0) throw fail('POSTGRES_DUMP_FAILED', { name, error: complaintOf(done, 'pg_dump') });
    await client.query('ROLLBACK');
    return { logical: withSequences(digest, await sequencesInDump(tools, file, { name, signal })) };
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Reads its table of contents. Throws POSTGRES_DUMP_FAILED for what is no dump. */
async function listDump(tools: PostgresTools, file: string, { name, signal }: DumpOptions): Promise<readonly string[]> {
  const listed = await runTool(tools.restore, ['--list', file], { signal, env: { ...process.env, LC_ALL: 'C' } });
  if (listed.code !== 0) throw fail('POSTGRES_DUMP_FAILED', { name, error: complaintOf(listed, 'pg_restore --list') });
  return listed.stdout.split('\n').filter((line) => line !== '' && !line.startsWith(';'));
}

/** What the dump will set sequences to. */
export async function sequencesInDump(tools: PostgresTools, file: string, options: DumpOptions): Promise<readonly SequenceValue[]> {
  const entries = (await listDump(tools, file, options)).filter((line) => line.includes(' SEQUENCE SET '));
  if (entries.length === 0) return [];
  const list = `${file}.list`;
  try {
    await writeFile(list, entries.join('\n'), { mode: 0o600 });
    const { code, stdout, stderr } = await runTool(tools.restore, ['-L', list, '-f', '-', file], { signal: options.signal });
    if (code !== 0) throw fail('POSTGRES_DUMP_FAILED', { name: options.name, error: complaintOf({ code, stdout, stderr }, 'pg_restore') });
    return Array.from(
      stdout.matchAll(/^SELECT pg_catalog\.setval\('((?:[^']|'')*)', (-?\d+), (true|false)\);$/gm),
      ([, place = '', value = '', called]) => ({ name: place.replaceAll("''", "'"), value, isCalled: called === 'true' }),
    );
  } finally {
    await rm(list, { force: true });
  }
}

export async function serverVersion(client: Client): Promise<{ readonly major: number; readonly version: string }> {
  const { rows } = await client.query<{ number: string; version: string }>(
    "SELECT current_setting('server_version_num') AS number, split_part(current_setting('server_version'), ' ', 1) AS version",
  );
  return { major: Math.floor(Number(rows[0]?.number ?? 0) / 10_000), version: rows[0]?.version ?? '' };
}
