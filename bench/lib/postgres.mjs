// A PostgreSQL server for the benchmarks: one cluster in a folder of its own, on loopback, durable as servers are (fsync on), ended with the process.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const base = '/usr/lib/postgresql';
const versions = existsSync(base) ? readdirSync(base).toSorted((a, b) => Number(b) - Number(a)) : [];
const bin = versions.map((version) => join(base, version, 'bin')).find((dir) => existsSync(join(dir, 'initdb'))) ?? null;

let started = 0;

/** `null` where the server's programs are not there. */
export function startPostgres() {
  if (bin === null) return null;
  const dir = mkdtempSync(join(tmpdir(), 'rungs-bench-postgres-'));
  const data = join(dir, 'data');
  started += 1;
  const port = 20_000 + ((process.pid + started) % 20_000);
  const isRoot = process.getuid() === 0;
  if (isRoot) {
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout));
    chmodSync(dir, 0o755);
    chownSync(dir, uid, gid);
  }
  const run = (program, ...args) => {
    const command = join(bin, program);
    const [file, rest] = isRoot
      ? ['setpriv', ['--reuid', 'postgres', '--regid', 'postgres', '--init-groups', command, ...args]]
      : [command, args];
    const { status } = spawnSync(file, rest, { cwd: dir, stdio: 'ignore', env: { ...process.env, LC_ALL: 'C.UTF-8' } });
    if (status !== 0) throw new Error(`${program} failed with ${status}`);
  };
  run('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale', 'C.UTF-8');
  writeFileSync(
    join(data, 'postgresql.auto.conf'),
    [`port = ${port}`, "listen_addresses = '127.0.0.1'", "unix_socket_directories = ''", ''].join('\n'),
  );
  run('pg_ctl', '-D', data, '-w', '-l', join(dir, 'log'), 'start');
  process.once('exit', () => {
    run('pg_ctl', '-D', data, '-w', '-m', 'immediate', 'stop');
    rmSync(dir, { recursive: true, force: true });
  });
  const psql = (database, sql) => {
    const done = spawnSync(join(bin, 'psql'), ['-X', '-q', '-t', '-A', '-v', 'ON_ERROR_STOP=1', url(database), '-c', sql], {
      encoding: 'utf8',
    });
    if (done.status !== 0) throw new Error(done.stderr);
    return done.stdout.trim();
  };
  const url = (database) => `postgres://postgres@127.0.0.1:${port}/${database}`;
  /** One database for each scratch folder. */
  const nameOf = (dir) =>
    basename(dir)
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, '_');
  return {
    url: (scratch) => url(nameOf(scratch)),
    create: (scratch) => {
      psql('postgres', `CREATE DATABASE ${nameOf(scratch)}`);
      psql(nameOf(scratch), 'CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL)');
    },
    count: (scratch) => Number(psql(nameOf(scratch), 'SELECT count(*) FROM items')),
  };
}
