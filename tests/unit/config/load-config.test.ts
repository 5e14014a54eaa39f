// What a good upgrade.yaml becomes.
import { mkdirSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { makeTree } from '../discover/tree.ts';

const minimal = 'product: x\nversion: { file: VERSION }\n';

describe('defaults', () => {
  test('are filled in, and paths are absolute', async () => {
    const root = realpathSync(makeTree({ 'upgrade.yaml': minimal }));
    const config = await loadConfig({ cwd: root, env: {} });
    expect(config).toEqual({
      file: path.join(root, 'upgrade.yaml'),
      product: 'x',
      root,
      version: { kind: 'file', file: path.join(root, 'VERSION') },
      migrations: path.join(root, 'migrations'),
      ladders: {},
      state: path.join(root, '.upgrade'),
      journal: { kind: 'sqlite' },
      databases: {},
      backup: {
        dir: path.join(root, '.upgrade/backups'),
        include: null,
        exclude: [],
        onDrift: 'report',
        keep: 10,
        keepDays: null,
        restoreTest: false,
        commands: {},
        afterBackup: null,
        recipients: [],
      },
      services: {},
      parallelRestarts: 32,
      soakMs: 0,
      verify: [],
      timeouts: { stepMs: 600_000, lockMs: 30_000, totalMs: 7_200_000 },
      boot: { onFailure: 'stop', lockMs: null, totalMs: null },
      notify: [],
      metrics: { textfile: null },
      secrets: [],
    });
  });

  test('of services and probes', async () => {
    const root = makeTree({
      'upgrade.yaml': `${minimal}databases: { m: { postgres: "postgres://h/d" } }
services:
  a: { command: { restart: [x] }, pidFile: run/a.pid }
  b: { systemd: b.service, after: [a] }
  c: { docker: { label: app=c }, stopDuringUpgrade: true, timeout: 1.5m, stableFor: 500ms }
  d: { compose: compose.yaml, service: d }
verify:
  - { name: web, http: "http://h/" }
  - { name: port, tcp: "[::1]:80", within: 2h }
  - { name: file, file: f, expect: { mode: "0640" } }
`,
    });
    const { services, verify, databases } = await loadConfig({ cwd: root, env: {} });
    expect(databases).toMatchObject({ m: { attempts: 5, backoffMs: 1000 } });
    expect(services).toMatchObject({
      a: {
        kind: 'command',
        name: 'a',
        commands: { restart: ['x'], stop: null, start: null, health: null, status: null },
        pidFile: path.join(realpathSync(root), 'run/a.pid'),
        timeoutMs: 60_000,
        stableForMs: 3000,
        stopDuringUpgrade: false,
      },
      b: { kind: 'systemd', scope: 'system', after: ['a'] },
      c: { kind: 'docker', container: { label: 'app=c' }, timeoutMs: 90_000, stableForMs: 500, stopDuringUpgrade: true },
      d: { kind: 'compose', service: 'd' },
    });
    expect(verify).toEqual([
      {
        kind: 'http',
        name: 'web',
        withinMs: 30_000,
        url: 'http://h/',
        expect: { status: 200, json: {}, headers: {}, body: null },
        tls: null,
      },
      { kind: 'tcp', name: 'port', withinMs: 7_200_000, host: '::1', port: 80 },
      {
        kind: 'file',
        name: 'file',
        withinMs: 30_000,
        file: path.join(realpathSync(root), 'f'),
        expect: { exists: true, contains: null, mode: 0o640 },
      },
    ]);
  });

  test.each([
    { ladder: '{ dir: db }', is: { kind: 'folder', database: null, onFailure: 'rollback' } },
    { ladder: '{ dir: db, index: i.json }', is: { kind: 'index', onFailure: 'keep' } },
    { ladder: '{ dir: db, index: i.json, onFailure: rollback }', is: { kind: 'index', onFailure: 'rollback' } },
  ])('of the ladder $ladder', async ({ ladder, is }) => {
    const root = makeTree({ 'upgrade.yaml': `${minimal}ladders: { l: ${ladder} }` });
    expect((await loadConfig({ cwd: root, env: {} })).ladders.l).toMatchObject(is);
  });
});

test('ladders need no version: it is the journal then; everything else needs one', async () => {
  const root = makeTree({ 'upgrade.yaml': 'product: x\nladders: { l: { dir: db } }\n', 'none/upgrade.yaml': 'product: x\n' });
  expect((await loadConfig({ cwd: root, env: {} })).version).toEqual({ kind: 'journal' });
  await expect(loadConfig({ cwd: path.join(root, 'none'), env: {} })).rejects.toThrow('"version" is missing');
});

describe('where things are', () => {
  test('the nearest upgrade.yaml counts, walking up', async () => {
    const root = realpathSync(makeTree({ 'upgrade.yaml': minimal, 'a/upgrade.yaml': minimal, 'a/b/c/_': '' }));
    expect((await loadConfig({ cwd: path.join(root, 'a/b/c'), env: {} })).file).toBe(path.join(root, 'a/upgrade.yaml'));
    expect((await loadConfig({ cwd: path.join(root, 'a/b/c'), file: '../../../upgrade.yaml', env: {} })).file).toBe(
      path.join(root, 'upgrade.yaml'),
    );
    expect((await loadConfig({ cwd: root, file: 'a', env: {} })).file).toBe(path.join(root, 'a/upgrade.yaml'));
  });

  test('root and migrations are relative to the file, all else to the root; --root wins; links are resolved', async () => {
    const root = realpathSync(
      makeTree({
        'etc/upgrade.yaml': `${minimal}root: ../app\nmigrations: ./m\nbackup: { dir: ../bak }`,
        'app/VERSION': '1.0.0',
        real: { folder: true },
        link: { link: 'real' },
      }),
    );
    const file = path.join(root, 'etc/upgrade.yaml');
    expect(await loadConfig({ cwd: root, file, env: {} })).toMatchObject({
      root: path.join(root, 'app'),
      migrations: path.join(root, 'etc/m'),
      state: path.join(root, 'app/.upgrade'),
      backup: { dir: path.join(root, 'bak') },
      version: { file: path.join(root, 'app/VERSION') },
    });
    expect(await loadConfig({ cwd: root, file, root: 'link', env: {} })).toMatchObject({
      root: path.join(root, 'real'),
      state: path.join(root, 'real/.upgrade'),
    });
  });

  test('a state folder outside the root is fine where it is a folder of its own', async () => {
    const root = realpathSync(makeTree({ 'app/upgrade.yaml': `${minimal}state: ../state` }));
    mkdirSync(path.join(root, 'state'));
    expect((await loadConfig({ cwd: path.join(root, 'app'), env: {} })).state).toBe(path.join(root, 'state'));
  });
});

describe('${…}', () => {
  test.each([
    { why: 'is replaced', text: '"${NAME}"', is: 'ada', secrets: ['ada'] },
    { why: 'is replaced inside a text', text: 'x-${NAME}-${OTHER:-o}', is: 'x-ada-o', secrets: ['ada', 'o'] },
    { why: 'takes its default where the variable is not set', text: '${NOPE:-b c}', is: 'b c', secrets: ['b c'] },
    { why: 'takes its default where the variable is empty', text: '${EMPTY:-full}', is: 'full', secrets: ['full'] },
    { why: 'is left as it is where it is escaped', text: '$${NAME}', is: '${NAME}', secrets: [] },
    { why: 'needs its braces', text: '$NAME', is: '$NAME', secrets: [] },
  ])('$why', async ({ text, is, secrets }) => {
    const root = makeTree({ 'upgrade.yaml': `product: ${text}\nversion: { journal: true }\n` });
    expect(await loadConfig({ cwd: root, env: { NAME: 'ada', EMPTY: '' } })).toMatchObject({ product: is, secrets });
  });

  test('is a number or a boolean where one is wanted', async () => {
    const root = makeTree({
      'upgrade.yaml': `${minimal}backup: { keep: "\${KEEP}" }\nservices: { a: { docker: a, stopDuringUpgrade: "\${STOP}" } }`,
    });
    expect(await loadConfig({ cwd: root, env: { KEEP: '3', STOP: 'true' } })).toMatchObject({
      backup: { keep: 3 },
      services: { a: { stopDuringUpgrade: true } },
    });
  });

  test('the password of a URL is a secret of its own, in both spellings', async () => {
    const root = makeTree({ 'upgrade.yaml': `${minimal}databases: { d: { postgres: "\${URL}" } }` });
    const { secrets } = await loadConfig({ cwd: root, env: { URL: 'postgres://u:p%40ss@h/d' } });
    expect(secrets).toEqual(['postgres://u:p%40ss@h/d', 'p%40ss', 'p@ss']);
  });
});

test('CRLF, a byte order mark and anchors are fine', async () => {
  const root = makeTree({
    'upgrade.yaml': '\uFEFFproduct: x\r\nversion: { file: V }\r\nservices:\r\n  a: { docker: &n a }\r\n  b: { docker: *n }\r\n',
  });
  expect((await loadConfig({ cwd: root, env: {} })).services.b).toMatchObject({ container: 'a' });
});
