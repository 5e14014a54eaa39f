// Puts a dump in the place of a live database. It is first restored beside it and proven by its digest; only then do the two change names, and only when the
// new one is proven in its place is the old one dropped. Killed at any point, running it again ends right.
import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from 'pg';
import { fail, messageOf, UpgradeError } from '../../model/failure.ts';
import type { LogicalDigest } from '../../model/manifest.ts';
import { createLike, dropDatabase, existing, letIn, namesBeside, rename, type Names } from './beside.ts';
import { codeOf, connectPostgres, type PostgresTarget } from './connect.ts';
import { differencesOf, digestPostgres, withSequences } from './digest.ts';
import { sequencesInDump, serverVersion } from './dump.ts';
import { holdsJournal, restoreInPlace } from './in-place.ts';
import { databaseOf, libpqEnvironment, withDatabase } from './libpq.ts';
import { claimRestore, connectBeside, mayEnd } from './maintenance.ts';
import { complaintOf, findTools, runTool, type PostgresTools } from './tools.ts';

export interface RestoreOptions {
  /** As upgrade.yaml calls it. */
  readonly name: string;
  /** Of the backup: names what lies beside the live database. */
  readonly id: string;
  /** What the dump holds. */
  readonly expected: LogicalDigest;
  readonly signal?: AbortSignal | undefined;
}

interface Work extends RestoreOptions {
  readonly target: PostgresTarget;
  readonly dumpFile: string;
  readonly beside: Client;
  readonly names: Names;
  readonly tools: PostgresTools;
}

/** Throws POSTGRES_UNREACHABLE, POSTGRES_NO_MAINTENANCE, POSTGRES_TOOLS_…, POSTGRES_RESTORE_FAILED, POSTGRES_RESTORE_DIFFERS, POSTGRES_SESSIONS_REMAIN. */
export async function restorePostgres(target: PostgresTarget, dumpFile: string, options: RestoreOptions): Promise<void> {
  const { name, id, signal } = options;
  const beside = await connectBeside(target, { name, ...(signal === undefined ? {} : { signal }) });
  try {
    const tools = await findTools(name, await serverVersion(beside));
    const names = namesBeside(await databaseOf(target), id);
    await claimRestore(beside, names.live);
    await restoreFrom({ ...options, target, dumpFile, beside, tools, names });
  } catch (error) {
    if (error instanceof UpgradeError || signal?.aborted === true) throw error;
    throw fail('POSTGRES_RESTORE_FAILED', { name, error: messageOf(error) }, {}, error);
  } finally {
    await beside.end().catch(() => undefined);
  }
}

/** Whether a dump can be restored: into a database beside the live one, which is proven, and dropped. Nobody notices. Throws as `restorePostgres` does. */
export async function tryPostgres(target: PostgresTarget, dumpFile: string, options: RestoreOptions): Promise<void> {
  const { name, id, signal } = options;
  const beside = await connectBeside(target, { name, ...(signal === undefined ? {} : { signal }) });
  try {
    const tools = await findTools(name, await serverVersion(beside));
    // Another name than a restore of this backup would use.
    const names = namesBeside(await databaseOf(target), `test ${id}`);
    const work = { ...options, target, dumpFile, beside, tools, names };
    try {
      await createLike(beside, names.staged, names.live);
      await fill(work);
      await prove(work, names.staged);
    } finally {
      await dropDatabase(beside, names.staged);
    }
  } catch (error) {
    if (error instanceof UpgradeError || signal?.aborted === true) throw error;
    throw fail('POSTGRES_RESTORE_FAILED', { name, error: messageOf(error) }, {}, error);
  } finally {
    await beside.end().catch(() => undefined);
  }
}

async function restoreFrom(work: Work): Promise<void> {
  const { beside, names } = work;
  if (await takeUp(work)) return finish(work);
  const { live, staged } = names;
  if ((await existing(beside, names)).has(live) && (await needsSequencesOnly(work))) return clearAway(work);
  await createLike(beside, staged, live);
  await fill(work);
  await prove(work, staged);
  if ((await existing(beside, names)).has(live) && (await asLive(work, holdsJournal))) {
    await restoreInPlace(work);
    return clearAway(work);
  }
  await changePlaces(work);
  await finish(work);
}

/** Goes on from where a killed restore stopped; true where the new database is live already. */
async function takeUp(work: Work): Promise<boolean> {
  const { beside, names } = work;
  const there = await existing(beside, names);
  if (there.has(names.live)) {
    // Closed by a restore that did not come to open it again.
    if (there.has(names.staged) || there.has(names.old)) await letIn(beside, names.live, true);
    return there.has(names.old) && (await differences(work, names.live)).length === 0;
  }
  // Between the two renames: the staged one had been proven.
  if (there.has(names.staged) && (await differences(work, names.staged)).length === 0) {
    await endSessions(beside, names.staged, work.name);
    await rename(beside, names.staged, names.live);
    return true;
  }
  if (there.has(names.old)) {
    await rename(beside, names.old, names.live);
    await letIn(beside, names.live, true);
  }
  return false;
}

/**
 * No transaction takes back what it took of a sequence: a step that failed leaves nothing but that behind. Then sequences are set, and nobody is put out.
 * True where that is all, or nothing differs at all.
 */
async function needsSequencesOnly({ target, names, name, expected, tools, dumpFile, signal }: Work): Promise<boolean> {
  const client = await connectPostgres(withDatabase(target, names.live), { name, application: 'rungs restore' });
  try {
    const live = await digestPostgres(client, signal, 1_000).catch((error: unknown) => {
      // Whoever has a table locked is put out by the restore as a whole.
      if (codeOf(error) === '55P03') return null;
      throw error;
    });
    if (live === null) return false;
    if (differencesOf(expected, live).length === 0) return true;
    if (differencesOf(withSequences(expected, []), withSequences(live, [])).length > 0) return false;
    for (const { name: sequence, value, isCalled } of await sequencesInDump(tools, dumpFile, { name, signal }))
      await client.query('SELECT setval($1::regclass, $2::bigint, $3)', [sequence, value, isCalled]);
    return differencesOf(expected, await digestPostgres(client, signal)).length === 0;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function fill({ target, names, tools, dumpFile, name, signal }: Work): Promise<void> {
  const staged = withDatabase(target, names.staged);
  const database = `dbname='${names.staged.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const done = await runTool(tools.restore, ['--exit-on-error', '--no-password', '-d', database, dumpFile], {
    env: await libpqEnvironment(staged),
    signal,
  });
  if (done.code !== 0) throw fail('POSTGRES_RESTORE_FAILED', { name, error: complaintOf(done, 'pg_restore') });
  // A dump holds no statistics, and without them every query of the first minutes is planned blindly.
  const client = await connectPostgres(staged, { name, application: 'rungs restore' });
  try {
    await client.query('ANALYZE');
  } finally {
    await client.end();
  }
}

async function changePlaces(work: Work): Promise<void> {
  const { beside, names, name } = work;
  const { live, staged, old } = names;
  const there = await existing(beside, names);
  if (there.has(live)) {
    await letIn(beside, live, false);
    try {
      await endSessions(beside, live, name);
      await endSessions(beside, staged, name);
      // What is live is itself the fruit of a restore that was written to since: what was there before it is the old one.
      if (there.has(old)) await dropDatabase(beside, live);
      else await rename(beside, live, old);
    } catch (error) {
      await letIn(beside, live, true).catch(() => undefined);
      throw error;
    }
  }
  try {
    await rename(beside, staged, live);
  } catch (error) {
    if (there.has(live) && !there.has(old)) {
      await rename(beside, old, live);
      await letIn(beside, live, true);
    }
    throw error;
  }
}

async function finish(work: Work): Promise<void> {
  await prove(work, work.names.live);
  await clearAway(work);
}

/** What is live is proven. */
async function clearAway({ beside, names }: Work): Promise<void> {
  await dropDatabase(beside, names.old);
  await dropDatabase(beside, names.staged);
}

const endWithinMs = 15_000;

async function endSessions(beside: Client, database: string, name: string): Promise<void> {
  const deadline = performance.now() + endWithinMs;
  for (;;) {
    const { rows } = await beside.query<{ who: string }>(
      `SELECT concat_ws(' ', coalesce(nullif(application_name, ''), 'a program'), '(' || usename || ', PID ' || pid || ')') AS who,
         CASE WHEN ${mayEnd} THEN pg_terminate_backend(pid) END
       FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'`,
      [database],
    );
    if (rows.length === 0) return;
    if (performance.now() > deadline) throw fail('POSTGRES_SESSIONS_REMAIN', { name, sessions: rows.map(({ who }) => who) });
    await pause(20);
  }
}

async function prove(work: Work, database: string): Promise<void> {
  const why = await differences(work, database);
  if (why.length > 0) throw fail('POSTGRES_RESTORE_DIFFERS', { name: work.name, database, why: why.join(', ') });
}

async function differences({ target, name, expected, signal }: Work, database: string): Promise<readonly string[]> {
  const client = await connectPostgres(withDatabase(target, database), {
    name,
    application: 'rungs restore',
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    return differencesOf(expected, await digestPostgres(client, signal));
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function asLive<T>({ target, name }: Work, ask: (client: Client) => Promise<T>): Promise<T> {
  const client = await connectPostgres(target, { name, application: 'rungs restore' });
  try {
    return await ask(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
