// Live data: what a service that runs on has written since the backup is not set back without a word, and what steps did is, whatever services do.
import { appendFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished, expect } from 'vitest';
import { testNeeding } from '../../support/needs.ts';
import { makeSmall, type Small } from '../cli/installation.ts';

const test = testNeeding('sqlite3');

/** Appends a line to its log, and adds a row to the database where it is told to, over and over. */
const writer = `#!/bin/sh
cd "$(dirname "$0")/.." || exit 1
case $1 in
  start)
    (
      while :; do
        echo line >> data/live.log
        [ -e data/with-rows ] && sqlite3 -cmd '.timeout 2000' data/app.db "INSERT INTO orders (what) VALUES ('live')"
        sleep 0.02
      done
    ) < /dev/null > /dev/null 2>&1 &
    echo $! > writer.pid ;;
  stop) kill "$(cat writer.pid)"; rm -f writer.pid ;;
  health) kill -0 "$(cat writer.pid)" ;;
esac
`;
/** Until the service has written some more. */
const whileItWrites = `before=$(wc -l < data/live.log); until [ "$(wc -l < data/live.log)" -gt $((before + 3)) ]; do sleep 0.01; done`;

const failingScript = `#!/bin/sh
[ "$1" = forward ] || exit 0
echo 'name: changed' > config/app.yaml
echo made > data/made
${whileItWrites}
exit 7
`;
const failingSql = `-- rungs: { database: app }
-- forward
ALTER TABLE users ADD COLUMN note TEXT;
-- backward
ALTER TABLE users DROP COLUMN note;
`;

interface Wanted {
  readonly onDrift?: string;
  readonly service?: string;
  readonly files: Readonly<Record<string, { readonly text: string; readonly mode: number }>>;
  readonly withRows?: boolean;
}

/** At 1.0.0; its upgrade to 2.0.0 fails in the step that is given, or, where none of them does, in the last one. */
async function makeLive({ onDrift, service = '', files, withRows = false }: Wanted): Promise<Small> {
  const small = makeSmall({
    config: `services:
  feed:
    command: { start: [bin/writer, start], stop: [bin/writer, stop], health: [bin/writer, health] }
    pidFile: writer.pid
    stableFor: 50ms
    ${service}
`,
    files: {
      'inst/bin/writer': { text: writer, mode: 0o755 },
      'inst/data/live.log': 'line\n',
      ...(withRows ? { 'inst/data/with-rows': 'yes' } : {}),
      ...Object.fromEntries(Object.entries(files).map(([name, file]) => [`migrations/v1.1.0_to_v2.0.0/${name}`, file])),
    },
  });
  if (onDrift !== undefined) {
    const file = path.join(small.root, 'upgrade.yaml');
    const text = readFileSync(file, 'utf8').replace('backup: {', `backup: { onDrift: ${onDrift},`);
    (await import('node:fs')).writeFileSync(file, text);
  }
  const { run } = await import('../backup/installation.ts');
  run('sqlite3', [
    path.join(small.root, 'data/app.db'),
    'PRAGMA journal_mode = wal; CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)',
  ]);
  run(path.join(small.root, 'bin/writer'), ['start']);
  onTestFinished(() => void run(path.join(small.root, 'bin/writer'), ['stop']));
  return small;
}

const lines = (root: string): number => readFileSync(path.join(root, 'data/live.log'), 'utf8').split('\n').length - 1;

test('by default a rollback leaves what a service has written, says so, and sets back what the script did', async () => {
  const { root, upgrade } = await makeLive({ files: { '002_fails.sh': { text: failingScript, mode: 0o755 } } });
  const { code, stdout, stderr } = await upgrade(['--to', '2.0.0', '--yes', '--json']);
  const result = JSON.parse(stdout);
  expect([code, result.outcome]).toEqual([10, 'rolled-back']);
  expect(result.drift).toEqual([{ path: 'data/live.log', why: expect.stringMatching(/size|content/), services: ['feed'] }]);
  expect(result.restored.map((one: { readonly path: string }) => one.path).toSorted()).toEqual(['config/app.yaml', 'data/made']);
  expect(readFileSync(path.join(root, 'config/app.yaml'), 'utf8')).toBe('name: small # a comment\n');
  expect(lines(root)).toBeGreaterThan(4);
  expect(stderr).toContain('Left as it is');
  expect(stderr).toContain('data/live.log');
});

test.each([
  { onDrift: 'restore', isSetBack: true },
  // Nobody is there to be asked.
  { onDrift: 'ask', isSetBack: false },
  { onDrift: 'report', isSetBack: false },
])('onDrift: $onDrift', async ({ onDrift, isSetBack }) => {
  const { upgrade } = await makeLive({
    onDrift,
    files: { '002_fails.sh': { text: failingScript.replace(whileItWrites, `${whileItWrites}; bin/writer stop`), mode: 0o755 } },
    service: 'writes: [data/live.log]',
  });
  const { code, stdout } = await upgrade(['--to', '2.0.0', '--yes', '--json']);
  const result = JSON.parse(stdout);
  expect(code).toBe(10);
  const restored = result.restored.map((one: { readonly path: string }) => one.path);
  expect(restored.includes('data/live.log')).toBe(isSetBack);
  expect(result.drift.map((one: { readonly path: string }) => one.path)).toEqual(isSetBack ? [] : ['data/live.log']);
  if (isSetBack) expect(result.warnings.join('\n')).toMatch(/feed ran on while this was set back: .*data\/live\.log/);
});

test('rows that a service adds to the database that steps change stay, and the steps are undone', async () => {
  const { root, upgrade } = await makeLive({
    withRows: true,
    files: {
      '002_note.sql': { text: failingSql, mode: 0o644 },
      '003_fails.sh': { text: `#!/bin/sh\n[ "$1" = forward ] || exit 0\n${whileItWrites}\nexit 7\n`, mode: 0o755 },
    },
  });
  const { code, stdout } = await upgrade(['--to', '2.0.0', '--yes', '--json']);
  const result = JSON.parse(stdout);
  expect([code, result.outcome]).toEqual([10, 'rolled-back']);
  expect(result.drift).toContainEqual({ path: 'data/app.db', why: expect.stringContaining('orders'), services: ['feed'] });
  const { run } = await import('../backup/installation.ts');
  const look = run('sqlite3', [
    path.join(root, 'data/app.db'),
    "SELECT count(*) > 0 FROM orders; SELECT group_concat(name) FROM pragma_table_info('users')",
  ]);
  expect(look.output).toBe('1\nid,name\n');
});

test('where steps can only have changed the database, whatever else differs is somebody else’s', async () => {
  const { root, upgrade } = await makeLive({
    service: 'writes: []',
    files: { '001_note.sh': { text: '', mode: 0o644 } },
  });
  const { rmSync, writeFileSync } = await import('node:fs');
  const folder = path.join(root, '../migrations/v1.1.0_to_v2.0.0');
  rmSync(path.join(folder, '001_note.sh'));
  writeFileSync(
    path.join(folder, '001_fails.sql'),
    '-- rungs: { database: app }\n-- forward\nINSERT INTO nowhere VALUES (1);\n-- backward\nSELECT 1;\n',
  );
  appendFileSync(path.join(root, 'data/live.log'), 'line\n');
  const { code, stdout } = await upgrade(['--to', '2.0.0', '--yes', '--json']);
  const result = JSON.parse(stdout);
  expect([code, result.restored]).toEqual([10, []]);
  expect(result.drift.every((one: { readonly path: string }) => one.path === 'data/live.log')).toBe(true);
});

test('where no service runs on, everything that differs is set back', async () => {
  const { root, upgrade } = await makeLive({
    service: 'stopDuringUpgrade: true',
    files: { '002_fails.sh': { text: '#!/bin/sh\n[ "$1" = forward ] || exit 0\necho more >> data/live.log\nexit 7\n', mode: 0o755 } },
  });
  const before = lines(root);
  const { stdout } = await upgrade(['--to', '2.0.0', '--yes', '--json']);
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ outcome: 'rolled-back', drift: [] });
  expect(result.restored.map((one: { readonly path: string }) => one.path)).toEqual(['data/live.log']);
  expect(lines(root)).toBeGreaterThanOrEqual(before);
});
