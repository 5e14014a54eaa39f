// What goes wrong with a PostgreSQL server, wherever Rungs needs one: as a database, or as the journal of several hosts.
import type { FailureRegistry } from '../failure.ts';

export const postgresFailures = {
  POSTGRES_UNREACHABLE: ({ name, server, attempts, error }: { name: string; server: string; attempts: number; error: string }) => ({
    message: `PostgreSQL (${name}) at ${server} cannot be reached${attempts > 1 ? ` after ${attempts} attempts` : ''}: ${error}.`,
    hint: 'See that the server runs and that upgrade.yaml names the right host, port, database and user. "connect: { attempts, backoff }" says how long to try.',
  }),
} satisfies FailureRegistry;
