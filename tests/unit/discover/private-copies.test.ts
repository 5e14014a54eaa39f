import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copyTransitions } from '../../../src/discover/private-copies.ts';
import { readTransitions } from '../../../src/discover/transitions.ts';
import { packName, packSteps, unpackSteps } from '../../../src/model/step-pack.ts';
import { parseVersion } from '../../../src/model/version.ts';
import type { Plan } from '../../../src/model/plan.ts';

const id = 'v1.0.0_to_v2.0.0';
let scratch = '';
let migrations = '';
let copies = '';

beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'rungs-copies-'));
  migrations = path.join(scratch, 'migrations');
  copies = path.join(scratch, 'run', 'steps');
  mkdirSync(path.join(migrations, id), { recursive: true });
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const write = (name: string, text: string): void => writeFileSync(path.join(migrations, id, name), text);
const manySteps = (count: number): void => {
  for (let n = 1; n <= count; n++) write(`${String(n).padStart(3, '0')}_x.sql`, `-- forward\nSELECT ${n};\n-- backward\nSELECT -${n};\n`);
};

/** Only what copying looks at. */
function planOf(dir = path.join(migrations, id)): Plan {
  const files = readdirSync(path.join(migrations, id)).map((name) => ({
    path: name,
    sha256: sha256(readFileSync(path.join(migrations, id, name))),
  }));
  const versions = { from: parseVersion('1.0.0', 'test'), to: parseVersion('2.0.0', 'test') };
  const requires = { diskBytes: null, memoryBytes: null, commands: [], services: [], env: [] };
  const transition = {
    id,
    ...versions,
    dir,
    description: '',
    breaking: false,
    stop: false,
    blocked: null,
    requires,
    images: {},
    ladders: {},
    climb: null,
    files,
    steps: [],
  };
  return { product: 'test', ...versions, direction: 'up', transitions: [transition], hash: '' };
}

function readArchive(): ReturnType<typeof readTransitions> {
  const config = {
    file: path.join(scratch, 'upgrade.yaml'),
    migrations: copies,
    services: {},
    databases: { app: { kind: 'sqlite' as const, file: 'x' } },
    ladders: {},
    climb: null,
    isArchive: true,
  };
  writeFileSync(config.file, '');
  return readTransitions(config, [id], { describeModules: async () => [] });
}

test('a few steps are copied as files', () => {
  manySteps(3);
  expect(copyTransitions(planOf(), copies)).toEqual([]);
  expect(readdirSync(path.join(copies, id)).toSorted()).toEqual(['001_x.sql', '002_x.sql', '003_x.sql']);
});

test('many small SQL steps are copied into one file; others, helpers and large ones stay files', () => {
  manySteps(100);
  write('200_large.sql', `SELECT '${'x'.repeat(20_000)}';`);
  write('201_script.sh', 'true');
  write('_helper.sql', 'SELECT 1;');
  expect(copyTransitions(planOf(), copies)).toEqual([]);
  expect(readdirSync(path.join(copies, id)).toSorted()).toEqual([packName, '200_large.sql', '201_script.sh', '_helper.sql']);
  const pack = unpackSteps(readFileSync(path.join(copies, id, packName)));
  expect([pack?.size, Buffer.from(pack?.get('042_x.sql') ?? []).toString()]).toEqual([
    100,
    '-- forward\nSELECT 42;\n-- backward\nSELECT -42;\n',
  ]);
});

test('an archive with a pack reads as the folder that it was made from', async () => {
  manySteps(100);
  copyTransitions(planOf(), copies);
  const { transitions, problems } = await readArchive();
  expect(problems).toEqual([]);
  expect(transitions[0]?.files).toEqual(planOf().transitions[0]?.files);
  expect(transitions[0]?.steps).toHaveLength(100);
});

test('copies are made out of an archive with a pack', () => {
  manySteps(100);
  const plan = planOf();
  copyTransitions(plan, copies);
  const again = path.join(scratch, 'again');
  expect(copyTransitions(planOf(path.join(copies, id)), again)).toEqual([]);
  expect(readFileSync(path.join(again, id, packName))).toEqual(readFileSync(path.join(copies, id, packName)));
});

test.each([
  { why: 'cut short', harm: (file: string) => truncateSync(file, 1000) },
  { why: 'empty', harm: (file: string) => truncateSync(file, 0) },
  { why: 'gone', harm: (file: string) => rmSync(file) },
  {
    why: 'changed',
    harm: (file: string) =>
      writeFileSync(
        file,
        readFileSync(file).map((byte) => (byte === 0x37 ? 0x38 : byte)),
      ),
  },
])('a pack that is $why is made anew from the migrations', ({ harm }) => {
  manySteps(100);
  const plan = planOf();
  copyTransitions(plan, copies);
  const file = path.join(copies, id, packName);
  const whole = readFileSync(file);
  harm(file);
  expect(copyTransitions(plan, copies)).toEqual([]);
  expect(readFileSync(file)).toEqual(whole);
});

test('a resumed run keeps its copies where the migrations have changed since', () => {
  manySteps(100);
  const plan = planOf();
  copyTransitions(plan, copies);
  write('007_x.sql', 'DROP TABLE users;');
  expect(copyTransitions(plan, copies)).toEqual([]);
  expect(Buffer.from(unpackSteps(readFileSync(path.join(copies, id, packName)))?.get('007_x.sql') ?? []).toString()).toContain('SELECT 7;');
});

test('a step that is not the planned one is named, and nothing is packed', () => {
  manySteps(100);
  const plan = planOf();
  write('007_x.sql', 'DROP TABLE users;');
  const [problem] = copyTransitions(plan, copies);
  expect(problem?.code).toBe('PLAN_FILES_CHANGED');
  expect(problem?.message).toContain(`${id}/007_x.sql`);
  expect(readdirSync(path.join(copies, id))).toEqual([]);
});

test.each([
  { why: 'no index', pack: Buffer.from('SELECT 1;') },
  { why: 'an index that is no JSON', pack: Buffer.from('[["a",\n') },
  { why: 'a negative length', pack: Buffer.from('[["a",-1]]\n') },
  { why: 'more bytes than it tells of', pack: Buffer.from('[["a",1]]\nxy') },
  { why: 'fewer bytes than it tells of', pack: Buffer.from('[["a",3]]\nxy') },
])('what is no pack is none: $why', ({ pack }) => {
  expect(unpackSteps(pack)).toBeNull();
});

test('a pack gives back what was put into it', () => {
  const files = new Map([
    ['a.sql', Buffer.from('')],
    ['b.sql', Buffer.from('x\ny')],
  ]);
  expect([...(unpackSteps(packSteps(files)) ?? [])].map(([name, bytes]) => [name, Buffer.from(bytes).toString()])).toEqual([
    ['a.sql', ''],
    ['b.sql', 'x\ny'],
  ]);
  expect(existsSync(copies)).toBe(false);
});
