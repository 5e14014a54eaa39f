// What users get wrong, and what they are told: code, place, hint; all problems in one go; nothing changed on disk.
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { createInstallation } from '../../src/discover/installation.ts';
import { readTransitions } from '../../src/discover/transitions.ts';
import { failuresOf, type Failure } from '../../src/model/failure.ts';
import type { ModuleDescription } from '../../src/model/ports.ts';
import { parseVersion, type Version } from '../../src/model/version.ts';
import { choosePath } from '../../src/plan/choose-path.ts';
import type { Edge } from '../../src/plan/graph.ts';
import { makeTree, snapshot, type Entry } from './discover/tree.ts';

const isRoot = process.geteuid?.() === 0;

const base = [
  'product: home-server',
  'version: { file: VERSION }',
  'databases: { app: { sqlite: data/app.db }, main: { postgres: "postgres://u@h/d" } }',
  'services: { api: { systemd: api.service }, web: { docker: web } }',
].join('\n');

/** `line` counts in the whole file; the base has four lines. */
interface BadConfig {
  readonly why: string;
  readonly extra?: string;
  readonly whole?: string;
  readonly code: string;
  readonly line: number;
  readonly column?: number;
  readonly hint: RegExp;
  readonly env?: Readonly<Record<string, string>>;
}

const badConfigs: readonly BadConfig[] = [
  { why: 'an empty file', whole: '', code: 'CONFIG_EMPTY', line: 1, hint: /product/ },
  { why: 'only comments', whole: '# nothing\n', code: 'CONFIG_EMPTY', line: 1, hint: /version/ },
  { why: 'a bracket left open', extra: 'backup: { keep: 3', code: 'YAML_SYNTAX', line: 6, hint: /bracket/ },
  { why: 'a tab as indentation', extra: 'backup:\n\tkeep: 3', code: 'YAML_SYNTAX', line: 6, hint: /indentation/ },
  { why: 'an unknown tag', extra: 'state: !secret x', code: 'YAML_SYNTAX', line: 5, hint: /line named here/ },
  { why: 'a list where a map is wanted', whole: '- product: x', code: 'WRONG_VALUE', line: 1, hint: /a map with the keys product/ },
  {
    why: 'an alias bomb',
    extra: `x: &a [${'1,'.repeat(10)}]\ny: &b [${'*a,'.repeat(20)}]\nz: [${'*b,'.repeat(20)}]`,
    code: 'YAML_SYNTAX',
    line: 1,
    hint: /line/,
  },
  { why: 'a key given twice', extra: 'product: again', code: 'DUPLICATE_KEY', line: 5, column: 1, hint: /one of the two/ },
  { why: 'a required key missing', whole: 'version: { file: VERSION }', code: 'MISSING_KEY', line: 1, hint: /name of the product/ },
  { why: 'a required key empty', whole: 'product:\nversion: { file: VERSION }', code: 'WRONG_VALUE', line: 1, hint: /name of the product/ },
  { why: 'an unknown key', extra: 'migration: ./m', code: 'UNKNOWN_KEY', line: 5, column: 1, hint: /"migrations"/ },
  { why: 'an unknown key that is near nothing', extra: 'wibble: 1', code: 'UNKNOWN_KEY', line: 5, hint: /Known here: product, root/ },
  { why: 'an unknown key deep inside', extra: 'backup:\n  keeep: 3', code: 'UNKNOWN_KEY', line: 6, column: 3, hint: /"keep"/ },
  {
    why: 'the other spelling of a key',
    extra: 'ladders:\n  l:\n    dir: x\n    on_failure: keep',
    code: 'UNKNOWN_KEY',
    line: 8,
    hint: /"onFailure"/,
  },
  { why: 'a number as text', extra: 'backup:\n  keep: ten', code: 'WRONG_VALUE', line: 6, column: 9, hint: /whole number/ },
  { why: 'keeping no backup at all', extra: 'backup: { keep: 0 }', code: 'WRONG_VALUE', line: 5, hint: /1 or more/ },
  { why: 'a duration without a unit', extra: 'timeouts: { step: 30 }', code: 'WRONG_VALUE', line: 5, hint: /30s, 10m/ },
  { why: 'a duration with an unknown unit', extra: 'timeouts: { step: 3d }', code: 'WRONG_VALUE', line: 5, hint: /a duration/ },
  { why: 'a timeout of nothing', extra: 'timeouts: { total: 0s }', code: 'WRONG_VALUE', line: 5, hint: /longer than nothing/ },
  {
    why: 'a command as one text',
    extra: 'verify:\n  - { name: smoke, command: bin/smoke }',
    code: 'WRONG_VALUE',
    line: 6,
    hint: /list of arguments/,
  },
  { why: 'an empty command', extra: 'verify:\n  - { name: smoke, command: [] }', code: 'WRONG_VALUE', line: 6, hint: /list of arguments/ },
  {
    why: 'two forms of version',
    whole: 'product: x\nversion: { file: VERSION, json: package.json }',
    code: 'TWO_FORMS',
    line: 2,
    column: 27,
    hint: /one of them/,
  },
  { why: 'no form of version', whole: 'product: x\nversion: {}', code: 'NO_FORM', line: 2, hint: /file, json, command, journal/ },
  { why: 'a misspelt form of version', whole: 'product: x\nversion: { fil: VERSION }', code: 'NO_FORM', line: 2, hint: /"file"/ },
  {
    why: 'a bad JSON pointer',
    whole: 'product: x\nversion: { json: a.json, pointer: version }',
    code: 'WRONG_VALUE',
    line: 2,
    hint: /\/version/,
  },
  {
    why: 'a version file outside the root',
    whole: 'product: x\nversion: { file: ../VERSION }',
    code: 'PATH_REFUSED',
    line: 2,
    hint: /another place/,
  },
  {
    why: 'a service of no kind',
    whole: 'product: x\nversion: { file: V }\nservices:\n  api: { timeout: 3s }',
    code: 'NO_FORM',
    line: 4,
    hint: /systemd, docker, compose/,
  },
  {
    why: 'a service of two kinds',
    whole: 'product: x\nversion: { file: V }\nservices:\n  api: { systemd: a, docker: b }',
    code: 'TWO_FORMS',
    line: 4,
    hint: /one of them/,
  },
  {
    why: 'a command service without restart',
    whole: 'product: x\nversion: { file: V }\nservices:\n  api: { command: { stop: [a] } }',
    code: 'CONFIG_SERVICE_INCOMPLETE',
    line: 4,
    hint: /"stop" and "start"/,
  },
  {
    why: 'a command service that is to be stopped and cannot',
    whole: 'product: x\nversion: { file: V }\nservices:\n  api: { command: { restart: [a] }, stopDuringUpgrade: true }',
    code: 'CONFIG_SERVICE_INCOMPLETE',
    line: 4,
    hint: /restart/,
  },
  {
    why: 'services that wait for each other',
    whole:
      'product: x\nversion: { file: V }\nservices:\n  a: { docker: a, after: [b] }\n  b: { docker: b, after: [c] }\n  c: { docker: c, after: [a] }',
    code: 'CONFIG_SERVICE_CYCLE',
    line: 4,
    hint: /"after"/,
  },
  {
    why: 'a service after itself',
    whole: 'product: x\nversion: { file: V }\nservices:\n  a: { docker: a, after: [a] }',
    code: 'CONFIG_SERVICE_CYCLE',
    line: 4,
    hint: /circle/,
  },
  {
    why: 'an unknown service in after',
    whole: 'product: x\nversion: { file: V }\nservices:\n  api: { docker: a }\n  web: { docker: a, after: [apo] }',
    code: 'UNKNOWN_NAME',
    line: 5,
    hint: /"api"/,
  },
  {
    why: 'an unknown database in a probe',
    extra: 'verify:\n  - { name: x, sqlite: appp, query: select 1, expect: { value: 1 } }',
    code: 'UNKNOWN_NAME',
    line: 6,
    hint: /"app"/,
  },
  {
    why: 'a probe of the wrong kind of database',
    extra: 'verify:\n  - { name: x, sqlite: main, query: select 1, expect: { value: 1 } }',
    code: 'WRONG_KIND',
    line: 6,
    hint: /sqlite database/,
  },
  {
    why: 'a probe of the wrong kind of service',
    extra: 'verify:\n  - { name: x, systemd: web }',
    code: 'WRONG_KIND',
    line: 6,
    hint: /systemd service/,
  },
  {
    why: 'an unknown database of a ladder',
    extra: 'ladders:\n  main: { dir: db, database: nope }',
    code: 'UNKNOWN_NAME',
    line: 6,
    hint: /Known: app, main/,
  },
  { why: 'a ladder without a folder', extra: 'ladders:\n  main: { database: app }', code: 'MISSING_KEY', line: 6, hint: /a path/ },
  { why: 'a probe without a name', extra: 'verify:\n  - { tcp: "h:1" }', code: 'MISSING_KEY', line: 6, hint: /what the probe proves/ },
  {
    why: 'two probes with one name',
    extra: 'verify:\n  - { name: x, tcp: "h:1" }\n  - { name: x, tcp: "h:2" }',
    code: 'DUPLICATE_KEY',
    line: 7,
    hint: /one of the two/,
  },
  { why: 'a port that is none', extra: 'verify:\n  - { name: x, tcp: "localhost:70000" }', code: 'WRONG_VALUE', line: 6, hint: /65535/ },
  {
    why: 'a probe URL of another scheme',
    extra: 'verify:\n  - { name: x, http: "ftp://h/" }',
    code: 'WRONG_VALUE',
    line: 6,
    hint: /http:\/\//,
  },
  {
    why: 'a bad pointer in an expectation',
    extra: 'verify:\n  - { name: x, http: "http://h/", expect: { json: { ok: true } } }',
    code: 'BAD_NAME',
    line: 6,
    hint: /JSON pointer/,
  },
  {
    why: 'a bad regular expression',
    extra: 'verify:\n  - { name: x, http: "http://h/", expect: { body: "(" } }',
    code: 'WRONG_VALUE',
    line: 6,
    hint: /regular expression/,
  },
  {
    why: 'a mode that is a number',
    extra: 'verify:\n  - { name: x, file: f, expect: { mode: 0640 } }',
    code: 'WRONG_VALUE',
    line: 6,
    hint: /in quotes/,
  },
  {
    why: 'a status code that is none',
    extra: 'verify:\n  - { name: x, http: "http://h/", expect: { status: 20 } }',
    code: 'WRONG_VALUE',
    line: 6,
    hint: /200/,
  },
  {
    why: 'a database URL of another scheme',
    whole: 'product: x\nversion: { file: V }\ndatabases:\n  d: { postgres: "mysql://h/d" }',
    code: 'WRONG_VALUE',
    line: 4,
    hint: /postgres:\/\//,
  },
  {
    why: 'a database name that no variable can carry',
    whole: 'product: x\nversion: { file: V }\ndatabases:\n  "my db": { sqlite: x }',
    code: 'BAD_NAME',
    line: 4,
    hint: /letters, digits/,
  },
  { why: 'a webhook that is no URL', extra: 'notify: [{ webhook: nowhere }]', code: 'WRONG_VALUE', line: 5, hint: /https:/ },
  {
    why: 'an outcome that there is not',
    extra: 'notify: [{ webhook: "https://h/", on: [broken] }]',
    code: 'WRONG_VALUE',
    line: 5,
    hint: /rolled-back/,
  },
  { why: 'a pattern with an open bracket', extra: 'backup: { exclude: ["data/[a"] }', code: 'WRONG_VALUE', line: 5, hint: /brackets/ },
  { why: 'a pattern that leads out', extra: 'backup: { exclude: ["../x"] }', code: 'WRONG_VALUE', line: 5, hint: /inside the root/ },
  { why: 'a backup of what is outside', extra: 'backup: { include: [../x] }', code: 'PATH_REFUSED', line: 5, hint: /another place/ },
  { why: 'a pattern as a path', extra: 'backup: { include: ["*.db"] }', code: 'PATH_REFUSED', line: 5, hint: /another place/ },
  {
    why: 'a private key for encryption',
    extra: 'backup: { encrypt: { age: [AGE-SECRET-KEY-1X] } }',
    code: 'WRONG_VALUE',
    line: 5,
    hint: /age1/,
  },
  { why: 'the state folder at the root', extra: 'state: .', code: 'PATH_REFUSED', line: 5, hint: /another place/ },
  { why: 'the state folder above the root', extra: 'state: ..', code: 'PATH_REFUSED', line: 5, hint: /another place/ },
  { why: 'the state folder in the kernel', extra: 'state: /proc/rungs', code: 'PATH_REFUSED', line: 5, hint: /another place/ },
  { why: 'the state folder among the migrations', extra: 'state: migrations/state', code: 'PATH_REFUSED', line: 5, hint: /another place/ },
  { why: 'backups in the state folder itself', extra: 'backup: { dir: .upgrade }', code: 'PATH_REFUSED', line: 5, hint: /another place/ },
  { why: 'a root that is missing', extra: 'root: nowhere', code: 'ROOT_NOT_FOUND', line: 5, hint: /--root/ },
  { why: 'a root that is a file', extra: 'root: upgrade.yaml', code: 'ROOT_NOT_FOUND', line: 5, hint: /--root/ },
  {
    why: 'a variable that is not set',
    extra: 'state: "${STATE_DIR}"',
    code: 'ENVIRONMENT_MISSING',
    line: 5,
    column: 8,
    hint: /STATE_DIR:-default/,
  },
  { why: 'a variable without a name', extra: 'state: "${}"', code: 'ENVIRONMENT_SYNTAX', line: 5, hint: /\$\{NAME\}/ },
  { why: 'a variable left open', extra: 'state: "${STATE"', code: 'ENVIRONMENT_SYNTAX', line: 5, hint: /\$\{NAME\}/ },
  {
    why: 'a variable that does not fit',
    extra: 'timeouts: { step: "${STEP}" }',
    env: { STEP: 'hunter2' },
    code: 'WRONG_VALUE',
    line: 5,
    hint: /a duration/,
  },
];

describe('a bad upgrade.yaml', () => {
  test.each(badConfigs)('$why: $code', async ({ extra, whole, code, line, column, hint, env = {} }) => {
    const root = makeTree({ 'upgrade.yaml': whole ?? `${base}\n${extra}\n`, VERSION: '0.1.0\n', 'migrations/_': '' });
    const before = snapshot(root);
    const found = await failuresFrom(() => loadConfig({ cwd: root, env }));
    expect(found.map((failure) => failure.code)).toEqual([code]);
    expect(found[0]?.place).toMatchObject({ file: path.join(root, 'upgrade.yaml'), line, ...(column === undefined ? {} : { column }) });
    expect(found[0]?.hint).toMatch(hint);
    expect(found[0]?.message).not.toContain('hunter2');
    expect(snapshot(root)).toEqual(before);
  });

  test('all its problems are told at once, in the order of the file', async () => {
    const yaml = [
      'product: x',
      'version: { file: V, journal: true }',
      'state: .',
      'databases: { app: { sqlite: "${NOPE}" } }',
      'services:',
      '  a: { docker: a, after: [b] }',
      '  b: { docker: b, after: [a], tiemout: 3s }',
      'backup: { keep: many, exclude: ["["] }',
      'state: y',
    ].join('\n');
    const root = makeTree({ 'upgrade.yaml': yaml });
    const found = await failuresFrom(() => loadConfig({ cwd: root, env: {} }));
    expect(found.map(({ code, place }) => `${place?.line} ${code}`)).toEqual([
      '2 TWO_FORMS',
      '4 ENVIRONMENT_MISSING',
      '6 CONFIG_SERVICE_CYCLE',
      '7 UNKNOWN_KEY',
      '8 WRONG_VALUE',
      '8 WRONG_VALUE',
      '9 DUPLICATE_KEY',
    ]);
  });

  test.each([
    { why: 'nothing above', files: {}, file: undefined, hint: /--config/ },
    { why: 'the other extension', files: { 'upgrade.yml': base }, file: undefined, hint: /rename it to upgrade.yaml/ },
    { why: 'a file that is not there', files: {}, file: 'other.yaml', hint: /--config/ },
  ])('CONFIG_NOT_FOUND: $why', async ({ files, file, hint }) => {
    const root = makeTree({ ...files, 'sub/_': '' });
    const [found] = await failuresFrom(() => loadConfig({ cwd: path.join(root, 'sub'), file, env: {} }));
    expect(found).toMatchObject({ code: 'CONFIG_NOT_FOUND', hint: expect.stringMatching(hint) });
  });
});

interface BadTree {
  readonly why: string;
  readonly files: Readonly<Record<string, Entry>>;
  readonly code: string;
  /** Relative to the migrations. */
  readonly at: string;
  readonly line?: number;
  readonly hint: RegExp;
  readonly skip?: boolean;
}

const t = 'v0.1.0_to_v0.2.0';
const sql = '-- rungs: { database: app }\nSELECT 1;\n';

const badTrees: readonly BadTree[] = [
  {
    why: 'a capital V',
    files: { 'V0.1.0_to_0.2.0/001_a.sql': sql },
    code: 'TRANSITION_NAME',
    at: 'V0.1.0_to_0.2.0',
    hint: /v0\.1\.0_to_v0\.2\.0/,
  },
  {
    why: 'a version of two numbers',
    files: { 'v0.1_to_v0.2.0/001_a.sql': sql },
    code: 'TRANSITION_NAME',
    at: 'v0.1_to_v0.2.0',
    hint: /v0\.1\.0_to_v0\.2\.0/,
  },
  {
    why: 'a v too many',
    files: { 'v0.9.0_to_vv0.10.0/001_a.sql': sql },
    code: 'TRANSITION_NAME',
    at: 'v0.9.0_to_vv0.10.0',
    hint: /v0\.9\.0_to_v0\.10\.0/,
  },
  {
    why: 'dashes',
    files: { 'v0.1.0-to-v0.2.0/001_a.sql': sql },
    code: 'TRANSITION_NAME',
    at: 'v0.1.0-to-v0.2.0',
    hint: /v0\.1\.0_to_v0\.2\.0/,
  },
  {
    why: 'a leading zero',
    files: { 'v0.01.0_to_v0.2.0/001_a.sql': sql },
    code: 'TRANSITION_NAME',
    at: 'v0.01.0_to_v0.2.0',
    hint: /v0\.1\.0_to_v0\.2\.0/,
  },
  {
    why: 'a folder of something else',
    files: { 'old/001_a.sql': sql },
    code: 'TRANSITION_NAME',
    at: 'old',
    hint: /begin its name with "_"/,
  },
  { why: 'a stray file', files: { 'notes.txt': 'x' }, code: 'STRAY_ENTRY', at: 'notes.txt', hint: /"_"/ },
  {
    why: 'a file named as a transition',
    files: { 'v0.2.0_to_v0.3.0': 'x' },
    code: 'TRANSITION_NOT_A_FOLDER',
    at: 'v0.2.0_to_v0.3.0',
    hint: /Make a folder/,
  },
  {
    why: 'a transition downwards',
    files: { 'v0.3.0_to_v0.2.0/001_a.sql': sql },
    code: 'TRANSITION_DOWNWARD',
    at: 'v0.3.0_to_v0.2.0',
    hint: /v0\.2\.0_to_v0\.3\.0/,
  },
  {
    why: 'a transition to itself',
    files: { 'v0.3.0_to_v0.3.0/001_a.sql': sql },
    code: 'TRANSITION_TO_ITSELF',
    at: 'v0.3.0_to_v0.3.0',
    hint: /Correct/,
  },
  {
    why: 'a transition to itself but for build metadata',
    files: { 'v0.3.0_to_v0.3.0+b/001_a.sql': sql },
    code: 'TRANSITION_TO_ITSELF',
    at: 'v0.3.0_to_v0.3.0+b',
    hint: /metadata/,
  },
  {
    why: 'two folders for one pair',
    files: { [`${t}/001_a.sql`]: sql, 'v0.1.0_to_v0.2.0+build/001_a.sql': sql },
    code: 'TRANSITION_DUPLICATE',
    at: 'v0.1.0_to_v0.2.0+build',
    hint: /Keep one/,
  },
  {
    why: 'the other extension of transition.yaml',
    files: { [`${t}/transition.yml`]: 'stop: true' },
    code: 'TRANSITION_FILE_NAME',
    at: `${t}/transition.yml`,
    hint: /transition\.yaml/,
  },
  { why: 'too few digits', files: { [`${t}/01_x.sql`]: sql }, code: 'STEP_NAME', at: `${t}/01_x.sql`, hint: /001_x\.sql/ },
  { why: 'a dash after the number', files: { [`${t}/001-x.sql`]: sql }, code: 'STEP_NAME', at: `${t}/001-x.sql`, hint: /001_x\.sql/ },
  { why: 'a capital letter', files: { [`${t}/001_X.sql`]: sql }, code: 'STEP_NAME', at: `${t}/001_X.sql`, hint: /001_x\.sql/ },
  { why: 'an unknown kind', files: { [`${t}/001_x.rb`]: 'x' }, code: 'STEP_NAME', at: `${t}/001_x.rb`, hint: /ts, js, mjs, sql, sh, py/ },
  { why: 'a capital extension', files: { [`${t}/001_x.SQL`]: sql }, code: 'STEP_NAME', at: `${t}/001_x.SQL`, hint: /001_x\.sql/ },
  { why: 'no number', files: { [`${t}/helper.ts`]: 'x' }, code: 'STEP_NAME', at: `${t}/helper.ts`, hint: /"_"/ },
  { why: 'an editor left-over', files: { [`${t}/001_x.sql~`]: sql }, code: 'STEP_NAME', at: `${t}/001_x.sql~`, hint: /"_"/ },
  {
    why: 'one number twice',
    files: { [`${t}/001_a.sql`]: sql, [`${t}/001_b.sh`]: 'x' },
    code: 'STEP_DUPLICATE_NUMBER',
    at: `${t}/001_b.sh`,
    hint: /another number/,
  },
  {
    why: 'one number twice with more zeros',
    files: { [`${t}/001_a.sql`]: sql, [`${t}/0001_b.sql`]: sql },
    code: 'STEP_DUPLICATE_NUMBER',
    at: `${t}/001_a.sql`,
    hint: /another number/,
  },
  {
    why: 'a down without an up',
    files: { [`${t}/001_a.down.sql`]: sql },
    code: 'STEP_DOWN_WITHOUT_UP',
    at: `${t}/001_a.down.sql`,
    hint: /001_a\.up\.sql/,
  },
  {
    why: 'two backwards',
    files: { [`${t}/001_a.up.sql`]: `${sql}-- backward\nX;`, [`${t}/001_a.down.sql`]: sql },
    code: 'STEP_TWO_BACKWARDS',
    at: `${t}/001_a.up.sql`,
    hint: /Keep one/,
  },
  { why: 'a folder among the steps', files: { [`${t}/lib/x.sql`]: sql }, code: 'STRAY_ENTRY', at: `${t}/lib`, hint: /"_"/ },
  {
    why: 'bytes that are not text',
    files: { [`${t}/001_a.sql`]: Buffer.from([0x53, 0xff, 0xfe]) },
    code: 'FILE_NOT_TEXT',
    at: `${t}/001_a.sql`,
    hint: /UTF-8/,
  },
  {
    why: 'a step of 17 MiB',
    files: { [`${t}/001_a.sql`]: Buffer.alloc(17 * 1024 ** 2, 32) },
    code: 'FILE_TOO_LARGE',
    at: `${t}/001_a.sql`,
    hint: /"_"/,
  },
  {
    why: 'a link to nowhere',
    files: { [`${t}/001_a.sql`]: { link: 'gone.sql' } },
    code: 'FILE_UNREADABLE',
    at: `${t}/001_a.sql`,
    hint: /permissions/,
  },
  {
    why: 'a link that leads out',
    files: { [`${t}/001_a.sql`]: { link: '/etc/passwd' } },
    code: 'UNSAFE_LINK',
    at: `${t}/001_a.sql`,
    hint: /inside the migrations/,
  },
  {
    why: 'a helper that leads out',
    files: { [`${t}/_lib.sh`]: { link: '/etc/passwd' } },
    code: 'UNSAFE_LINK',
    at: `${t}/_lib.sh`,
    hint: /inside the migrations/,
  },
  {
    why: 'a transition folder that leads out',
    files: { 'v0.2.0_to_v0.3.0': { link: '/etc' } },
    code: 'UNSAFE_LINK',
    at: 'v0.2.0_to_v0.3.0',
    hint: /inside the migrations/,
  },
  {
    why: 'a step that everybody may write',
    files: { [`${t}/001_a.sql`]: { text: sql, mode: 0o666 } },
    code: 'UNSAFE_MODE',
    at: `${t}/001_a.sql`,
    hint: /chmod o-w/,
  },
  {
    why: 'a folder that everybody may write',
    files: { [t]: { folder: true, mode: 0o777 } },
    code: 'UNSAFE_MODE',
    at: t,
    hint: /chmod o-w/,
  },
  {
    why: 'a step of a stranger, as root',
    files: { [`${t}/001_a.sql`]: { text: sql, owner: 12_345 } },
    code: 'UNSAFE_OWNER',
    at: `${t}/001_a.sql`,
    hint: /chown/,
    skip: !isRoot,
  },
  {
    why: 'an unknown key of metadata',
    files: { [`${t}/001_a.sql`]: '\n-- rungs: { database: app, restarts: [api] }\nX;' },
    code: 'UNKNOWN_KEY',
    at: `${t}/001_a.sql`,
    line: 2,
    hint: /Known here|Did you mean/,
  },
  {
    why: 'metadata that is no YAML',
    files: { [`${t}/001_a.sql`]: '-- rungs: { database: app\nX;' },
    code: 'YAML_SYNTAX',
    at: `${t}/001_a.sql`,
    line: 1,
    hint: /bracket/,
  },
  {
    why: 'metadata that is no map',
    files: { [`${t}/001_a.sh`]: '#!/bin/sh\n# rungs: slow\nX' },
    code: 'WRONG_VALUE',
    at: `${t}/001_a.sh`,
    line: 2,
    hint: /a map with the keys/,
  },
  {
    why: 'metadata of the wrong type over several lines',
    files: { [`${t}/001_a.sql`]: '-- about\n-- rungs:\n--   database: app\n--   timeout: soon\nX;' },
    code: 'WRONG_VALUE',
    at: `${t}/001_a.sql`,
    line: 4,
    hint: /a duration/,
  },
  {
    why: 'metadata below the first statement',
    files: { [`${t}/001_a.sql`]: '-- rungs: { database: app }\nX;\n-- rungs: { transaction: false }\n' },
    code: 'METADATA_MISPLACED',
    at: `${t}/001_a.sql`,
    line: 3,
    hint: /above the first statement/,
  },
  {
    why: 'both spellings',
    files: { [`${t}/001_a.sh`]: '# rungs: { requiresRestart: [api], requires_restart: [web] }\n' },
    code: 'METADATA_TWICE',
    at: `${t}/001_a.sh`,
    line: 1,
    hint: /one of the two/,
  },
  {
    why: 'an unknown service',
    files: { [`${t}/001_a.sh`]: '#!/bin/sh\n# rungs: { requires_restart: [apii] }\n' },
    code: 'UNKNOWN_NAME',
    at: `${t}/001_a.sh`,
    line: 2,
    hint: /"api"/,
  },
  {
    why: 'an unknown database',
    files: { [`${t}/001_a.sql`]: '-- rungs: { database: users }\nX;' },
    code: 'UNKNOWN_NAME',
    at: `${t}/001_a.sql`,
    line: 1,
    hint: /Known: app, main/,
  },
  {
    why: 'no database where there are several',
    files: { [`${t}/001_a.sql`]: 'X;' },
    code: 'STEP_NEEDS_DATABASE',
    at: `${t}/001_a.sql`,
    line: 1,
    hint: /database: app/,
  },
  {
    why: 'a backup path that leads out',
    files: { [`${t}/001_a.sh`]: '# rungs: { backup: [../etc] }\n' },
    code: 'PATH_REFUSED',
    at: `${t}/001_a.sh`,
    line: 1,
    hint: /another place/,
  },
  {
    why: 'an unknown key of transition.yaml',
    files: { [`${t}/transition.yaml`]: 'description: x\nstopp: true\n' },
    code: 'UNKNOWN_KEY',
    at: `${t}/transition.yaml`,
    line: 2,
    hint: /"stop"/,
  },
  {
    why: 'a blocked that says no reason',
    files: { [`${t}/transition.yaml`]: 'blocked: true\n' },
    code: 'WRONG_VALUE',
    at: `${t}/transition.yaml`,
    line: 1,
    hint: /reason/,
  },
  {
    why: 'a size without a unit',
    files: { [`${t}/transition.yaml`]: 'requires:\n  disk: 200\n' },
    code: 'WRONG_VALUE',
    at: `${t}/transition.yaml`,
    line: 2,
    hint: /512MB/,
  },
  {
    why: 'an unknown ladder',
    files: { [`${t}/transition.yaml`]: 'ladders:\n  main: 3\n' },
    code: 'UNKNOWN_NAME',
    at: `${t}/transition.yaml`,
    line: 2,
    hint: /upgrade\.yaml/,
  },
  {
    why: 'an unknown required service',
    files: { [`${t}/transition.yaml`]: 'requires: { services: [wep] }\n' },
    code: 'UNKNOWN_NAME',
    at: `${t}/transition.yaml`,
    line: 1,
    hint: /"web"/,
  },
  {
    why: 'Python that does not parse',
    files: { [`${t}/001_a.py`]: 'x = 1\ndef migrate_forward(:\n' },
    code: 'STEP_UNPARSABLE',
    at: `${t}/001_a.py`,
    line: 2,
    hint: /Correct/,
  },
  {
    why: 'Python without a forward',
    files: { [`${t}/001_a.py`]: 'def migrate_backward(root): return True\n' },
    code: 'STEP_NO_FORWARD',
    at: `${t}/001_a.py`,
    hint: /migrate_forward/,
  },
  {
    why: 'MIGRATION_INFO that is computed',
    files: { [`${t}/001_a.py`]: 'import os\nMIGRATION_INFO = {"description": os.name}\ndef migrate_forward(r): return True\n' },
    code: 'STEP_INFO_NOT_LITERAL',
    at: `${t}/001_a.py`,
    line: 2,
    hint: /plain values/,
  },
  {
    why: 'an unknown key of MIGRATION_INFO',
    files: {
      [`${t}/001_a.py`]: 'MIGRATION_INFO = {\n  "description": "x",\n  "requires_restrat": []\n}\ndef migrate_forward(r): return True\n',
    },
    code: 'UNKNOWN_KEY',
    at: `${t}/001_a.py`,
    line: 3,
    hint: /requires_restart/,
  },
  {
    why: 'a module without a forward',
    files: { [`${t}/001_no_forward.ts`]: 'x' },
    code: 'STEP_NO_FORWARD',
    at: `${t}/001_no_forward.ts`,
    hint: /forward\(ctx\)/,
  },
  {
    why: 'a module with an unknown key',
    files: { [`${t}/001_bad_key.ts`]: 'x' },
    code: 'UNKNOWN_KEY',
    at: `${t}/001_bad_key.ts`,
    hint: /"idempotent"/,
  },
];

/** What the process that loads modules would answer for files of these names. */
const modules: Readonly<Record<string, ModuleDescription>> = {
  '001_no_forward.ts': { metadata: {}, hasForward: false, hasBackward: true, hasCheck: false },
  '001_bad_key.ts': { metadata: { idempotant: true }, hasForward: true, hasBackward: true, hasCheck: false },
};

describe('a bad tree of migrations', () => {
  for (const { why, files, code, at, line, hint, skip = false } of badTrees) {
    test.skipIf(skip)(`${why}: ${code}`, async () => {
      const root = makeTree({
        'upgrade.yaml': base,
        ...Object.fromEntries(Object.entries(files).map(([name, entry]) => [`migrations/${name}`, entry])),
      });
      const before = snapshot(root);
      const { problems } = await readAll(root);
      expect(problems.map((failure) => failure.code)).toEqual([code]);
      expect(problems[0]?.place).toMatchObject({ file: path.join(root, 'migrations', at), ...(line === undefined ? {} : { line }) });
      expect(problems[0]?.hint).toMatch(hint);
      expect(problems[0]?.message).not.toBe('');
      expect(snapshot(root)).toEqual(before);
    });
  }

  test('all its problems are told at once', async () => {
    const root = makeTree({
      'upgrade.yaml': base,
      'migrations/V0.1.0_to_0.2.0/001_a.sql': sql,
      [`migrations/${t}/transition.yaml`]: 'stopp: true',
      [`migrations/${t}/01_x.sql`]: sql,
      [`migrations/${t}/002_a.sql`]: '-- rungs: { database: nope, requires_restart: [nope] }\nX;',
      [`migrations/${t}/003_a.py`]: 'MIGRATION_INFO = {"timeout": "soon"}\n',
      'migrations/v0.3.0_to_v0.2.0/001_a.sql': sql,
    });
    const { problems } = await readAll(root);
    expect(problems.map(({ code }) => code).toSorted()).toEqual([
      'STEP_NAME',
      'STEP_NO_FORWARD',
      'TRANSITION_DOWNWARD',
      'TRANSITION_NAME',
      'UNKNOWN_KEY',
      'UNKNOWN_NAME',
      'UNKNOWN_NAME',
      'WRONG_VALUE',
    ]);
  });

  test('no folder at all', async () => {
    const root = makeTree({ 'upgrade.yaml': base });
    const { problems } = await readAll(root);
    expect(problems).toMatchObject([
      { code: 'MIGRATIONS_NOT_FOUND', place: { file: path.join(root, 'migrations') }, hint: expect.stringContaining('upgrade new') },
    ]);
  });
});

interface BadPath {
  readonly why: string;
  readonly edges: readonly string[];
  readonly installed: string | null;
  readonly from?: string;
  readonly to?: string;
  readonly allowDowngrade?: boolean;
  readonly committedPath?: readonly string[];
  readonly code: string;
  readonly message: RegExp;
  readonly hint: RegExp;
}

const badPaths: readonly BadPath[] = [
  {
    why: 'a gap',
    edges: ['0.1.0>0.2.0', '0.3.0>0.4.0'],
    installed: '0.1.0',
    to: '0.4.0',
    code: 'NO_PATH',
    message: /from 0\.2\.0 to 0\.3\.0/,
    hint: /v0\.2\.0_to_v0\.3\.0/,
  },
  {
    why: 'a gap on the way to the newest',
    edges: ['0.3.0>0.4.0'],
    installed: '0.1.0',
    code: 'NO_PATH',
    message: /nothing leads from 0\.1\.0 to 0\.3\.0/,
    hint: /v0\.1\.0_to_v0\.3\.0/,
  },
  {
    why: 'a gap with something blocked',
    edges: ['0.1.0>0.2.0!loses data', '0.3.0>0.4.0'],
    installed: '0.1.0',
    to: '0.4.0',
    code: 'NO_PATH',
    message: /0\.1\.0>0\.2\.0 is blocked: loses data\./,
    hint: /v0\.2\.0_to_v0\.3\.0/,
  },
  {
    why: 'only a shortcut over a stop',
    edges: ['0.1.0>0.3.0', '0.1.5>0.2.0*'],
    installed: '0.1.0',
    to: '0.3.0',
    code: 'NO_PATH',
    message: /0\.1\.0>0\.3\.0 is a shortcut over 0\.2\.0/,
    hint: /Add/,
  },
  {
    why: 'every way blocked',
    edges: ['0.1.0>0.2.0', '0.2.0>0.3.0!loses data', '0.1.0>0.3.0!slow'],
    installed: '0.1.0',
    to: '0.3.0',
    code: 'PATH_BLOCKED',
    message: /slow/,
    hint: /remove "blocked"/,
  },
  {
    why: 'a downgrade unasked',
    edges: ['0.1.0>0.2.0'],
    installed: '0.2.0',
    to: '0.1.0',
    code: 'DOWNGRADE_REFUSED',
    message: /0\.1\.0 is older than the installed 0\.2\.0/,
    hint: /--allow-downgrade/,
  },
  {
    why: 'a downgrade into the middle of a shortcut',
    edges: ['0.1.0>0.3.0', '0.1.0>0.2.0'],
    installed: '0.3.0',
    to: '0.2.0',
    allowDowngrade: true,
    committedPath: ['0.1.0>0.3.0'],
    code: 'DOWNGRADE_PASSES_TARGET',
    message: /passes 0\.2\.0 by/,
    hint: /starts at/,
  },
  {
    why: 'a downgrade below everything',
    edges: ['0.2.0>0.3.0'],
    installed: '0.3.0',
    to: '0.1.0',
    allowDowngrade: true,
    code: 'NO_PATH',
    message: /0\.1\.0/,
    hint: /Add/,
  },
  {
    why: 'a --from that contradicts the installation',
    edges: ['0.1.0>0.2.0'],
    installed: '0.1.5',
    from: '0.1.0',
    code: 'FROM_MISMATCH',
    message: /0\.1\.5/,
    hint: /Leave --from away/,
  },
  {
    why: 'nothing that tells the installed version',
    edges: ['0.1.0>0.2.0'],
    installed: null,
    code: 'FROM_UNKNOWN',
    message: /Nothing tells/,
    hint: /--from/,
  },
];

describe('a graph that does not lead there', () => {
  test.each(badPaths)('$why: $code', async ({ edges, installed, from, to, allowDowngrade, committedPath, code, message, hint }) => {
    const [found] = await failuresFrom(async () =>
      choosePath({
        transitions: edges.map(edge),
        installed: version(installed),
        from: version(from) ?? undefined,
        to: version(to) ?? undefined,
        allowDowngrade,
        committedPath,
      }),
    );
    expect(found).toMatchObject({ code, message: expect.stringMatching(message), hint: expect.stringMatching(hint) });
  });
});

describe('a version that cannot be read', () => {
  test.each([
    { why: 'no file', files: {}, source: { kind: 'file', file: 'VERSION' }, says: /it does not exist/ },
    { why: 'a folder', files: { 'VERSION/x': '' }, source: { kind: 'file', file: 'VERSION' }, says: /it is a folder/ },
    { why: 'an empty file', files: { VERSION: '\n' }, source: { kind: 'file', file: 'VERSION' }, says: /it is empty/ },
    {
      why: 'something else',
      files: { VERSION: 'latest' },
      source: { kind: 'file', file: 'VERSION' },
      says: /"latest" is not a semantic version/,
    },
    { why: 'JSON that is none', files: { 'p.json': '{' }, source: { kind: 'json', file: 'p.json', pointer: '/version' }, says: /not JSON/ },
    {
      why: 'nothing at the pointer',
      files: { 'p.json': '{}' },
      source: { kind: 'json', file: 'p.json', pointer: '/version' },
      says: /nothing at \/version/,
    },
    {
      why: 'a number at the pointer',
      files: { 'p.json': '{"version":1}' },
      source: { kind: 'json', file: 'p.json', pointer: '/version' },
      says: /not a text/,
    },
    {
      why: 'a command that fails',
      files: {},
      source: { kind: 'command', command: ['sh', '-c', 'echo sorry >&2; exit 3'] },
      says: /exit code 3 \(sorry\)/,
    },
    {
      why: 'a command that is missing',
      files: {},
      source: { kind: 'command', command: ['bin/no-such-program'] },
      says: /no program bin\/no-such-program/,
    },
    { why: 'a command that says nothing', files: {}, source: { kind: 'command', command: ['true'] }, says: /it is empty/ },
  ] as const)('$why', async ({ files, source, says }) => {
    const root = makeTree(files);
    const before = snapshot(root);
    const placed = 'file' in source ? { ...source, file: path.join(root, source.file) } : source;
    const [found] = await failuresFrom(() => createInstallation({ root, version: placed }, async () => null).readVersion());
    expect(found).toMatchObject({
      code: 'VERSION_UNREADABLE',
      message: expect.stringMatching(says),
      ...('file' in placed ? { place: { file: placed.file } } : {}),
    });
    expect(snapshot(root)).toEqual(before);
  });
});

async function failuresFrom(action: () => Promise<unknown>): Promise<readonly Failure[]> {
  try {
    const value = await action();
    throw new Error(`nothing was wrong: ${JSON.stringify(value)}`);
  } catch (error) {
    return failuresOf(error);
  }
}

async function readAll(root: string) {
  const config = await loadConfig({ cwd: root, env: {} });
  return readTransitions(config, 'all', {
    describeModules: async (files) =>
      files.map((file) => modules[path.basename(file)] ?? { metadata: {}, hasForward: true, hasBackward: true, hasCheck: false }),
  });
}

function version(text: string | null | undefined): Version | null {
  return text === null || text === undefined ? null : parseVersion(text);
}

/** `0.1.0>0.2.0`, with `*` for a stop and `!why` for blocked. */
function edge(text: string): Edge {
  const [, from = '', to = '', stop, blocked] = /^([^>]+)>([^*!]+)(\*)?(?:!(.*))?$/.exec(text) ?? [];
  return { id: `${from}>${to}`, from: parseVersion(from), to: parseVersion(to), stop: stop !== undefined, blocked: blocked ?? null };
}
