// A real PostgreSQL for the tests: one cluster for each test file, on loopback, in a folder of its own, ended with the file.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, test } from 'vitest';

export interface TestPostgres {
  readonly port: number;
  /** Of an empty database that was just made. */
  database(options?: { readonly owner?: string }): Promise<string>;
  url(database: string, user?: string): string;
  query(url: string, sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
  /** `immediate` is what a power cut looks like to the server. */
  stop(mode?: 'fast' | 'immediate'): void;
  start(): void;
}

/** `test` where the server's programs are there, else one that is skipped and says why; CI fails instead. */
export const testWithPostgres: typeof test = choose();

function choose(): typeof test {
  if (programs() !== null) return test;
  const reason = 'PostgreSQL is missing: install the package postgresql';
  if (process.env.CI === 'true') throw new Error(`CI must run everything: ${reason}`);
  process.stderr.write(`skipped: ${reason}\n`);
  return test.skip as unknown as typeof test;
}

/** Folder of initdb, pg_ctl, pg_dump and pg_restore, of the newest version there is. */
export function programs(): string | null {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base) ? readdirSync(base).toSorted((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => path.join(base, version, 'bin')).find((bin) => existsSync(path.join(bin, 'initdb'))) ?? null;
}

// Here, not where a server is started: a hook that is added while another one runs is never called.
const ended: (() => void)[] = [];
afterAll(() => {
  for (const end of ended.splice(0)) end();
});

/** Call it once per file, inside a `beforeAll`. Fast and unsafe by default: `durable` syncs every commit as a real server does. */
export async function startPostgres({ durable = false }: { readonly durable?: boolean } = {}): Promise<TestPostgres> {
  const bin = programs();
  if (bin === null) throw new Error('PostgreSQL is missing');
  const dir = mkdtempSync(path.join(tmpdir(), 'rungs-postgres-'));
  const data = path.join(dir, 'data');
  const port = await freePort();
  const user = process.getuid?.() === 0 ? 'postgres' : null;
  if (user !== null) {
    const { uid, gid } = idsOf(user);
    chmodSync(dir, 0o755);
    chownSync(dir, uid, gid);
  }
  const run = (program: string, ...args: readonly string[]): void => {
    const command = path.join(bin, program);
    // Not `pipe`: the server inherits what it is given, and would keep the pipe open.
    const [file, rest] =
      user === null ? [command, args] : ['setpriv', ['--reuid', user, '--regid', user, '--init-groups', command, ...args]];
    const done = spawnSync(file, rest, { cwd: dir, stdio: ['ignore', 'ignore', 'ignore'], env: { ...process.env, LC_ALL: 'C.UTF-8' } });
    if (done.status !== 0) throw new Error(`${program} failed with ${done.status ?? String(done.signal)}`);
  };
  run('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale', 'C.UTF-8');
  writeFileSync(
    path.join(data, 'postgresql.auto.conf'),
    [
      `port = ${port}`,
      `listen_addresses = '127.0.0.1'`,
      `unix_socket_directories = ''`,
      'max_connections = 200',
      ...(durable ? [] : ['fsync = off', 'synchronous_commit = off', 'full_page_writes = off']),
      '',
    ].join('\n'),
  );
  const start = (): void => run('pg_ctl', '-D', data, '-w', '-t', '120', '-l', path.join(dir, 'log'), 'start');
  const stop = (mode: 'fast' | 'immediate' = 'immediate'): void => run('pg_ctl', '-D', data, '-w', '-t', '120', '-m', mode, 'stop');
  start();
  ended.push(() => {
    if (existsSync(path.join(data, 'postmaster.pid'))) stop();
    rmSync(dir, { recursive: true, force: true });
  });
  const url = (database: string, as = 'postgres'): string => `postgres://${as}@127.0.0.1:${port}/${database}`;
  const query = async (target: string, sql: string, values: readonly unknown[] = []): Promise<readonly Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: target });
    await client.connect();
    try {
      const { rows } = await client.query<Record<string, unknown>>(sql, [...values]);
      return rows;
    } finally {
      await client.end();
    }
  };
  let made = 0;
  return {
    port,
    url,
    query,
    start,
    stop,
    database: async ({ owner } = {}) => {
      made += 1;
      const name = `test_${process.pid}_${made}`;
      await query(url('postgres'), `CREATE DATABASE ${name}${owner === undefined ? '' : ` OWNER ${owner}`}`);
      return url(name, owner);
    },
  };
}

function idsOf(user: string): { readonly uid: number; readonly gid: number } {
  const id = (flag: string): number => Number(spawnSync('id', [flag, user], { encoding: 'utf8' }).stdout);
  return { uid: id('-u'), gid: id('-g') };
}

async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}
