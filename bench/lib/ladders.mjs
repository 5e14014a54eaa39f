// Scratch ladders for the benchmarks: steps of one row each, in each tool's own form.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { database } from './fixtures.mjs';

const insert = (n) => `INSERT INTO items (id, name) VALUES (${n}, 'item ${n}');`;
const remove = (n) => `DELETE FROM items WHERE id = ${n};`;
const number = (n) => String(n).padStart(5, '0');

function write(dir, count, text) {
  mkdirSync(join(dir, 'migrations'), { recursive: true });
  for (let n = 1; n <= count; n++) writeFileSync(join(dir, 'migrations', `${number(n)}_item.sql`), text(n));
}

/** Ours. `url`: of a PostgreSQL database; without one, SQLite. */
export function ladder(dir, { count, url = null, group = false }) {
  if (url === null) database(dir, { folder: 'data' });
  else mkdirSync(join(dir, 'data'));
  mkdirSync(join(dir, 'transitions'));
  write(dir, count, (n) => `-- forward\n${insert(n)}\n-- backward\n${remove(n)}\n`);
  writeFileSync(
    join(dir, 'upgrade.yaml'),
    [
      'product: bench',
      'version: { journal: true }',
      'migrations: transitions',
      `databases: { main: { ${url === null ? 'sqlite: data/app.db' : `postgres: "${url}"`} } }`,
      `ladders: { main: { dir: migrations, database: main, group: ${group} } }`,
      'backup: { include: [data] }',
      '',
    ].join('\n'),
  );
}

/** node-pg-migrate's plain SQL. */
export function nodePgMigrate(dir, { count }) {
  write(dir, count, (n) => `-- Up Migration\n${insert(n)}\n-- Down Migration\n${remove(n)}\n`);
}

export function dbmate(dir, { count }) {
  write(dir, count, (n) => `-- migrate:up\n${insert(n)}\n-- migrate:down\n${remove(n)}\n`);
}
