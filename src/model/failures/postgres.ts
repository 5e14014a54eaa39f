// What goes wrong with a PostgreSQL server, wherever Rungs needs one: as a database, or as the journal of several hosts.
import type { FailureRegistry } from '../failure.ts';

export const postgresFailures = {
  POSTGRES_UNREACHABLE: ({ name, server, attempts, error }: { name: string; server: string; attempts: number; error: string }) => ({
    message: `PostgreSQL (${name}) at ${server} cannot be reached${attempts > 1 ? ` after ${attempts} attempts` : ''}: ${error}.`,
    hint: 'See that the server runs and that upgrade.yaml names the right host, port, database and user. "connect: { attempts, backoff }" says how long to try.',
  }),
  POSTGRES_POOLER: ({ name, server }: { name: string; server: string }) => ({
    message: `Between Rungs and PostgreSQL (${name}) at ${server} stands a connection pooler that gives a session to others between transactions.`,
    hint: 'Give upgrade.yaml the address of the server itself (or of a pool in session mode): locks, snapshots and settings belong to a session.',
  }),
  POSTGRES_VERSION_UNSUPPORTED: ({ name, version }: { name: string; version: string }) => ({
    message: `PostgreSQL (${name}) is version ${version}; Rungs needs 13 or newer.`,
    hint: 'Upgrade the server first: its own maintainers no longer care for that version.',
  }),
  POSTGRES_TOOLS_MISSING: ({ name, program }: { name: string; program: string }) => ({
    message: `${program} is not there, so the database "${name}" cannot be backed up.`,
    hint: "Install PostgreSQL's client programs (Debian: postgresql-client), or name their folder in the environment variable RUNGS_PG_BIN.",
  }),
  POSTGRES_TOOLS_OLDER: ({ name, program, found, server }: { name: string; program: string; found: string; server: string }) => ({
    message: `${program} is version ${found}, older than the server of the database "${name}" (${server}), which it refuses to dump.`,
    hint: `Install the client programs of version ${server.split('.')[0]} or newer, or name their folder in the environment variable RUNGS_PG_BIN.`,
  }),
  POSTGRES_DUMP_FAILED: ({ name, error }: { name: string; error: string }) => ({
    message: `pg_dump cannot dump the database "${name}": ${error}.`,
    hint: 'See that its user may log in from here with pg_dump as well (pg_hba.conf, PGPASSFILE) and may read everything in the database.',
  }),
  POSTGRES_UNREADABLE: ({ name, role, objects }: { name: string; role: string; objects: readonly string[] }) => ({
    message: `The role "${role}" may not read everything in the database "${name}": ${several(objects)}.`,
    hint: 'Let upgrade.yaml name the role that owns the database: a backup must hold all of it.',
  }),
  POSTGRES_NOT_OWNER: ({ name, role, owners }: { name: string; role: string; owners: readonly string[] }) => ({
    message: `The role "${role}" cannot put the database "${name}" back: it, or something in it, belongs to ${several(owners)}.`,
    hint: `Connect as the owner, or make "${role}" a member: ${owners.map((owner) => `GRANT ${quoted(owner)} TO ${quoted(role)};`).join(' ')}`,
  }),
  POSTGRES_NO_CREATEDB: ({ name, role }: { name: string; role: string }) => ({
    message: `The role "${role}" may not create databases, so a restore of "${name}" could not be made beside the live one and proven before it takes its place.`,
    hint: `As a superuser: ALTER ROLE ${quoted(role)} CREATEDB;`,
  }),
  POSTGRES_NO_SCRATCH: ({ name, role, error }: { name: string; role: string; error: string }) => ({
    message: `No scratch databases could be made beside "${name}" to try the ladder on: ${error}.`,
    hint: `The role needs the right to make databases: ALTER ROLE ${quoted(role)} CREATEDB; or check against a server where it has it (DATABASE_URL of a test server, say).`,
  }),
  POSTGRES_NEEDS_SUPERUSER: ({ name, role, what }: { name: string; role: string; what: readonly string[] }) => ({
    message: `The database "${name}" holds what only a superuser can put back, and "${role}" is none: ${several(what)}.`,
    hint: 'Connect as a superuser for upgrades, or remove what is named.',
  }),
  POSTGRES_NO_MAINTENANCE: ({ name, error }: { name: string; error: string }) => ({
    message: `Beside the database "${name}" neither "postgres" nor "template1" can be connected to, from where a restore renames databases: ${error}.`,
    hint: 'Allow its role to connect to the database "postgres" (GRANT CONNECT, pg_hba.conf).',
  }),
  POSTGRES_REPLICATED: ({ name, what }: { name: string; what: readonly string[] }) => ({
    message: `The database "${name}" takes part in logical replication, which a restore would break: ${several(what)}.`,
    hint: 'Drop the slots and subscriptions before the upgrade, and set them up again afterwards.',
  }),
  POSTGRES_READ_ONLY: ({ name, why }: { name: string; why: string }) => ({
    message: `The database "${name}" only reads: ${why}.`,
    hint: 'Connect to the primary server, with a role and a database that may write.',
  }),
  POSTGRES_EXTENSION_OUTDATED: ({ name, extensions }: { name: string; extensions: readonly string[] }) => ({
    message: `The database "${name}" has extensions in another version than the server would create them in a restore: ${several(extensions)}.`,
    hint: 'Bring them up to date before the upgrade: ALTER EXTENSION name UPDATE;',
  }),
  POSTGRES_INVALID_INDEXES: ({ name, indexes }: { name: string; indexes: readonly string[] }) => ({
    message: `The database "${name}" has invalid indexes, which no query uses: ${several(indexes)}.`,
    hint: 'A CREATE INDEX CONCURRENTLY did not finish: REINDEX INDEX CONCURRENTLY, or drop them. A restore leaves them out.',
  }),
  POSTGRES_RESTORE_FAILED: ({ name, error }: { name: string; error: string }) => ({
    message: `The database "${name}" could not be restored: ${error}.`,
    hint: 'The live database is as it was, or under its own name with the letters "_rungs_old_" added; remove the cause and run the same command again.',
  }),
  POSTGRES_RESTORE_DIFFERS: ({ name, database, why }: { name: string; database: string; why: string }) => ({
    message: `What was restored of the database "${name}" (as ${database}) is not what the backup says: ${why}.`,
    hint: 'Nothing was dropped. If a program writes to the database, stop it and run the same command again.',
  }),
  POSTGRES_SESSIONS_REMAIN: ({ name, sessions }: { name: string; sessions: readonly string[] }) => ({
    message: `Sessions that cannot be ended keep the database "${name}" from being put back: ${several(sessions)}.`,
    hint: 'Stop these programs, or GRANT pg_signal_backend to the role of upgrade.yaml, then run the same command again.',
  }),
} satisfies FailureRegistry;

/** Up to eight, then how many more. */
function several(items: readonly string[]): string {
  return items.length > 8 ? `${items.slice(0, 8).join(', ')} and ${items.length - 8} more` : items.join(', ');
}

function quoted(role: string): string {
  return `"${role.replaceAll('"', '""')}"`;
}
