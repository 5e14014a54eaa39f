// Opens the journal's tables in PostgreSQL. Promises that reading makes nothing, and that several hosts that begin at once make them once.
import { connectPostgres, type PostgresTarget } from '../databases/postgres/connect.ts';
import { endConnection } from '../databases/postgres/connection-loss.ts';
import { fail, messageOf, UpgradeError } from '../model/failure.ts';
import { journalName, openPostgresSession, type PostgresSession, type WritePermit } from './postgres-session.ts';
import { postgresJournalUpgrades, postgresJournalVersion } from './postgres-schema.ts';

// Not `to_regclass`: in the middle of a transaction that has waited, it may still say that there is none.
const hasTables = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'rungs' AND tablename = 'journal') AS found";

/** `null`: reading, and nothing was ever recorded. Throws JOURNAL_NEWER, JOURNAL_WRITE_FAILED, POSTGRES_UNREACHABLE, POSTGRES_POOLER. */
export async function openJournalTables(
  target: PostgresTarget,
  installation: string,
  permit: WritePermit | null,
): Promise<PostgresSession | null> {
  if (permit !== null) await upgradeTables(target);
  const session = await openPostgresSession(target, installation, permit);
  try {
    if (permit !== null) return session;
    const [found] = await session.query(hasTables);
    if (found?.found === true) {
      const [row] = await session.query('SELECT version FROM rungs.journal');
      const version = Number(row?.version ?? 0);
      refuseNewer(version, session.file);
      if (version > 0) return session;
    }
    await session.close();
    return null;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** Several installations share the tables, so the lock of one of them does not guard this: a lock of its own does. */
async function upgradeTables(target: PostgresTarget): Promise<void> {
  const file = journalName(target.url);
  const client = await connectPostgres(target, { name: 'journal', application: 'rungs journal' });
  const versionNow = async (): Promise<number> => {
    const { rows } = await client.query<{ found: boolean }>(hasTables);
    if (rows[0]?.found !== true) return 0;
    const known = await client.query<{ version: number }>('SELECT version FROM rungs.journal');
    return known.rows[0]?.version ?? 0;
  };
  try {
    // In the usual case one look, and no right to make anything is needed.
    if ((await versionNow()) === postgresJournalVersion) return;
    await client.query("BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('rungs: the version of its journal', 0))");
    const version = await versionNow();
    refuseNewer(version, file);
    if (version === 0) {
      await client.query(
        'CREATE SCHEMA IF NOT EXISTS rungs; CREATE TABLE IF NOT EXISTS rungs.journal (version integer NOT NULL); INSERT INTO rungs.journal SELECT 0 WHERE NOT EXISTS (SELECT FROM rungs.journal)',
      );
    }
    for (let next = version; next < postgresJournalVersion; next += 1) await client.query(postgresJournalUpgrades[next] ?? '');
    await client.query('UPDATE rungs.journal SET version = $1', [postgresJournalVersion]);
    await client.query('COMMIT');
  } catch (error) {
    throw error instanceof UpgradeError ? error : fail('JOURNAL_WRITE_FAILED', { file, reason: messageOf(error) }, {}, error);
  } finally {
    await endConnection(client);
  }
}

function refuseNewer(version: number, file: string): void {
  if (version > postgresJournalVersion) throw fail('JOURNAL_NEWER', { file, found: version, known: postgresJournalVersion });
}
