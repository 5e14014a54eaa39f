// HOMESERVER's tree as it is, run by Rungs: the index adopted once, its scripts climbed in the order of the array, and the faults of its code, each of
// which does not happen here.
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { copyTree, type Document, type Tree } from './tree.ts';

const index = 'modules/migrations/index.json';
const scripts = 'modules/migrations/src';
const stepsOf = (document: Document): unknown => document.steps.map(({ id, status }: { id: string; status: string }) => [id, status]);
const statusOf = async (tree: Tree): Promise<Document> => (await tree.json('status')).document.ladders[0];

async function adopted(name = 'homeserver/object'): Promise<Tree> {
  const tree = copyTree(name);
  expect((await tree.upgrade('adopt')).code).toBe(0);
  return tree;
}

/** Puts an entry, and its script, at the end of the array. */
function addScript(tree: Tree, id: string, text: string, extension = 'sh'): void {
  const read = JSON.parse(tree.read(index));
  read.migrations.push({ id, description: `added ${id}`, has_run: false });
  tree.write(index, JSON.stringify(read, null, 4));
  tree.write(`${scripts}/${id}.${extension}`, text);
}

test('what has run is imported once; the scripts after it run in the order of the array, and a failing one stops the ladder and is tried again', async () => {
  const tree = copyTree('homeserver/object');
  const indexBefore = tree.read(index);
  const found = (await tree.json('adopt')).document.ladders[0];
  expect(found).toMatchObject({ status: 'adopted', height: 2, gaps: [], problems: [] });
  expect(await statusOf(tree)).toMatchObject({ height: 2, latest: 6, pending: 5 });

  const first = await tree.json('up');
  expect(first.code).toBe(11);
  expect(first.document).toMatchObject({ outcome: 'stopped', failure: { step: 'system/40000001', code: 'STEP_FAILED' } });
  expect(first.document.failure.log).toContain('ERROR: etc/skeleton.key is missing');
  expect(stepsOf(first.document)).toEqual([
    ['system/20000001', 'applied'],
    ['system/00000004', 'applied'],
    ['system/00000003', 'applied'],
    ['system/40000001', expect.stringMatching(/^(failed|reverted)$/)],
    ['system/00000006', expect.stringMatching(/^(not-run|pending)$/)],
  ]);
  // What the steps before it did stays; what it had begun itself is put back.
  expect(tree.read('etc/kea/kea-dhcp4.conf')).toContain('"type": "postgresql", "name": "kea"');
  expect(JSON.parse(tree.read('etc/users.json'))).toEqual([
    { name: 'ada', shell: '/bin/bash' },
    { name: 'bo', shell: '/bin/sh' },
  ]);
  expect(tree.has('etc/logrotate.d/homeserver')).toBe(true);
  expect(tree.has('etc/signature.partial')).toBe(false);
  expect(tree.read('var/www/homeserver/package.json')).toContain('react-scripts');
  expect(await statusOf(tree)).toMatchObject({ height: 3, pending: 2 });

  tree.write('etc/skeleton.key', 'factory\n');
  const second = await tree.json('up');
  expect(second.code).toBe(0);
  expect(stepsOf(second.document)).toEqual([
    ['system/40000001', 'applied'],
    ['system/00000006', 'applied'],
  ]);
  expect(tree.read('etc/signature')).toMatch(/^[0-9a-f]{64}\n$/);
  expect(JSON.parse(tree.read('var/www/homeserver/package.json'))).toEqual({
    name: 'homeserver',
    dependencies: { react: '18.0.0' },
    scripts: { build: 'vite build' },
  });
  expect(await statusOf(tree)).toMatchObject({ height: 6, latest: 6, pending: 0 });
  expect((await tree.json('status')).document).toMatchObject({ state: 'up-to-date', version: '2.4.0' });
  expect((await tree.json('up')).document.outcome).toBe('nothing-to-do');
  expect(tree.read(index)).toBe(indexBefore);
});

test.each(['homeserver/object', 'homeserver/array', 'home-server-manager', 'ownprem', 'moss'])(
  'the tree %s is without a problem as it is, and says that steps are pending',
  async (name) => {
    const tree = copyTree(name, { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' });
    const check = await tree.json('check');
    expect(check.document.problems).toEqual([]);
    expect(check.code).toBe(0);
    const { document } = await tree.json('status');
    expect(document).toMatchObject({ state: 'pending', pending: [] });
  },
);

test('without adopting, the first run takes has_run over: what ran before is not run again, whatever the index says afterwards', async () => {
  const tree = copyTree('homeserver/object');
  expect(await statusOf(tree)).toMatchObject({ height: 2, pending: 5 });
  const dry = await tree.json('up', '--dry-run');
  expect(dry.document.findings.map(({ code }: { code: string }) => code)).toContain('LADDER_IMPORTED');
  expect(tree.has('.upgrade')).toBe(false);

  tree.write('etc/skeleton.key', 'factory\n');
  const { document } = await tree.json('up');
  expect(document.steps.map(({ id }: { id: string }) => id)).not.toContain('system/00000002');
  expect(document.steps).toHaveLength(5);
  // As a deployment that puts its own file there would.
  const fresh = JSON.parse(tree.read(index));
  for (const entry of fresh.migrations) entry.has_run = false;
  tree.write(index, JSON.stringify(fresh));
  expect((await tree.json('up')).document.outcome).toBe('nothing-to-do');
});

test('a ladder that Rungs has climbed is not adopted over: nothing of it is forgotten', async () => {
  const tree = copyTree('homeserver/object');
  const read = JSON.parse(tree.read(index));
  for (const entry of read.migrations) entry.has_run = false;
  tree.write(index, JSON.stringify(read));
  expect((await tree.json('up')).code).toBe(11);
  const before = await statusOf(tree);
  read.migrations[0].has_run = true;
  tree.write(index, JSON.stringify(read));
  const { code, document } = await tree.json('adopt');
  expect(code).toBe(3);
  expect(document.failure).toMatchObject({ code: 'LADDER_CLIMBED_ALREADY' });
  expect(await statusOf(tree)).toEqual(before);
});

test('an installation of ladders alone, without a version: plan and doctor answer, and tell what is pending', async () => {
  const tree = copyTree('homeserver/object');
  tree.write('upgrade.yaml', tree.read('upgrade.yaml').replace(/^version:.*\n/m, ''));
  const pending = { level: 'info', code: 'LADDERS_PENDING', message: expect.stringContaining('system') };
  const plan = await tree.json('plan');
  expect(plan.code).toBe(0);
  expect(plan.document).toMatchObject({ from: null, to: null, transitions: [], ladders: [], findings: [pending] });
  const doctor = await tree.json('doctor');
  expect(doctor.code).toBe(0);
  expect(doctor.document).toMatchObject({ findings: [pending] });
  expect((await tree.json()).document).toMatchObject({ outcome: 'nothing-to-do', version: null });
});

test('a rollback script is a way down, and its has_run is taken back; a script without one is refused', async () => {
  const tree = copyTree('homeserver/array');
  tree.write(`${scripts}/00000003.down.sh`, 'sed -i /swappiness/d etc/sysctl.conf');
  await tree.upgrade('adopt');
  expect((await tree.json('up')).document.outcome).toBe('committed');
  expect(tree.read('etc/sysctl.conf')).toContain('swappiness');
  expect((await tree.json('down')).document).toMatchObject({ outcome: 'committed', failure: null });
  expect(tree.read('etc/sysctl.conf')).not.toContain('swappiness');
  expect(JSON.parse(tree.read(index)).map((one: Document) => one.has_run)).toEqual([true, true, false]);
  expect(await statusOf(tree)).toMatchObject({ height: 2, pending: 1 });
  const refused = await tree.json('down');
  expect([2, 3]).toContain(refused.code);
  expect(JSON.stringify(refused.document)).toContain('LADDER_IRREVERSIBLE');
});

test('the scripts of the tree run without an executable bit, and the way out of the failing one is a backup made just before it', async () => {
  const tree = await adopted();
  for (const name of ['20000001.sh', '00000004.sh', '00000003.py'])
    expect(statSync(path.join(tree.root, scripts, name)).mode & 0o111).toBe(0);
  const { document } = await tree.json('up');
  expect(document.backup.verified).toBe(true);
  tree.write('etc/users.json', '[]');
  const restored = await tree.json('backup', 'restore', document.backup.id, 'etc/users.json', '--yes');
  expect(restored.code).toBe(0);
  // What the steps before it did is in that backup.
  expect(tree.read('etc/users.json')).toContain('/bin/bash');
});

test('a dry run shows what would run and writes nothing', async () => {
  const tree = await adopted();
  const before = tree.read('etc/users.json');
  const { code, document } = await tree.json('up', '--dry-run');
  expect(code).toBe(0);
  expect(document.ladders[0].steps.map(({ id }: { id: string }) => id)).toEqual([
    'system/20000001',
    'system/00000004',
    'system/00000003',
    'system/40000001',
    'system/00000006',
  ]);
  expect(document.ladders[0].steps[0].description).toBe('Name the lease database');
  expect(tree.read('etc/users.json')).toBe(before);
  expect(await statusOf(tree)).toMatchObject({ height: 2, pending: 5 });
});

test('each execution is logged with id, description, full output, exit code and duration', async () => {
  const tree = await adopted();
  const { document } = await tree.json('up');
  const { stdout } = await tree.upgrade('history', document.runId);
  for (const part of ['system/20000001', 'system/40000001', 'ended with exit code 1']) expect(stdout).toContain(part);
  expect(document.steps[0]).toMatchObject({ id: 'system/20000001', durationMs: expect.any(Number), attempts: 1 });
  const logs = `.upgrade/runs/${document.runId}`;
  expect(tree.read(`${logs}/logs/system/20000001.sh.apply.log`)).toContain('lease database: kea');
  expect(tree.read(`${logs}/logs/system/00000003.py.apply.log`)).toContain('[migration] 1 users changed');
  const summary = tree.read(`${logs}/run.log`);
  for (const part of ['system/20000001', 'lease database: kea']) expect(summary).toContain(part);
});

test('an index that is a bare array is climbed, too; with writeBack it says what was run, and all else in it stays to the byte', async () => {
  const tree = await adopted('homeserver/array');
  const before = tree.read(index);
  const mode = statSync(path.join(tree.root, index)).mode;
  expect((await tree.json('up')).document.outcome).toBe('committed');
  expect(tree.read('etc/resolv.conf')).toBe('nameserver 1.1.1.1\nnameserver 9.9.9.9\n');
  expect(tree.read('etc/sysctl.conf')).toBe('vm.swappiness = 1\n');
  expect(tree.read(index)).toBe(
    before.replace('"has_run":false', '"has_run":true').replace('{"id":"00000003",', '{"id":"00000003","has_run":true,'),
  );
  expect(statSync(path.join(tree.root, index)).mode).toBe(mode);
  // Once it says so, adopting anew finds the same height.
  expect((await tree.json('adopt', '--dry-run')).document.ladders[0]).toMatchObject({ height: 3 });
});

test('with writeBack, what was applied before a failing step is written, and the failing one is not', async () => {
  const tree = copyTree('homeserver/object');
  tree.write('upgrade.yaml', tree.read('upgrade.yaml').replace('src }', 'src, writeBack: true }'));
  await tree.upgrade('adopt');
  expect((await tree.json('up')).code).toBe(11);
  const hasRun = JSON.parse(tree.read(index)).migrations.map((one: Document) => [one.id, one.has_run]);
  expect(hasRun).toEqual([
    ['00000001', true],
    ['00000002', true],
    ['20000001', true],
    ['00000004', true],
    ['00000003', true],
    ['40000001', false],
    ['00000006', undefined],
  ]);
});

test.each([
  {
    why: 'what it depends on stands after it',
    depends: ['40000001'],
    id: '00000003',
    text: /depends on 40000001, which does not stand before it/,
  },
  { why: 'what it depends on is not there', depends: '99999999', id: '00000003', text: /depends on 99999999/ },
  { why: 'it depends on itself', depends: ['00000003'], id: '00000003', text: /depends on 00000003/ },
  { why: 'it depends on something that is no id', depends: [3], id: '00000003', text: /"depends_on" of 00000003 is not a list of ids/ },
])('depends_on is refused where $why', async ({ depends, id, text }) => {
  const tree = await adopted();
  const read = JSON.parse(tree.read(index));
  read.migrations.find((one: Document) => one.id === id).depends_on = depends;
  tree.write(index, JSON.stringify(read));
  const { code, document } = await tree.json('up');
  expect([2, 3]).toContain(code);
  expect(JSON.stringify(document)).toMatch('LADDER_INDEX_ENTRY');
  expect((await tree.upgrade('check')).stdout.replaceAll(/\s+/g, ' ')).toMatch(text);
  expect(await statusOf(tree)).toMatchObject({ height: 2 });
});

test('fault: state in the same file that a deployment overwrites — here a new index with has_run false runs nothing again', async () => {
  const tree = await adopted('homeserver/array');
  expect((await tree.json('up')).document.outcome).toBe('committed');
  const deployed = tree.read(index).replaceAll('true', 'false');
  tree.write(index, deployed);
  expect((await tree.json('up')).document.outcome).toBe('nothing-to-do');
  expect(await statusOf(tree)).toMatchObject({ height: 3, pending: 0 });
  expect(tree.read(index)).toBe(deployed);
});

test('fault: a failed step does not stop later ones — here none runs after it', async () => {
  const tree = await adopted();
  const { document } = await tree.json('up');
  expect(stepsOf(document)).toContainEqual(['system/00000006', expect.stringMatching(/^(not-run|pending)$/)]);
  expect(tree.has('var/www/homeserver/vite.config.ts')).toBe(false);
});

test.each([
  { why: 'is cut off', damage: (text: string) => text.slice(0, 200) },
  { why: 'is empty', damage: () => '' },
  { why: 'has no list of migrations', damage: () => '{ "metadata": {} }' },
])('fault: a corrupt index reads as "no migrations, success" — here one that $why is refused', async ({ damage }) => {
  const tree = await adopted();
  tree.write(index, damage(tree.read(index)));
  const { code, document } = await tree.json('up');
  expect([2, 3]).toContain(code);
  expect(JSON.stringify(document)).toContain('LADDER_INDEX_UNREADABLE');
  expect((await tree.upgrade('check')).code).toBe(2);
});

test('fault: non-atomic writes — here the index is replaced by a new file in one rename, and nothing is left beside it', async () => {
  const tree = await adopted('homeserver/array');
  const before = statSync(path.join(tree.root, index)).ino;
  expect((await tree.json('up')).code).toBe(0);
  expect(statSync(path.join(tree.root, index)).ino).not.toBe(before);
  expect(tree.has('modules/migrations/.index.json.rungs-new')).toBe(false);
});

test('fault: a timeout kills only the direct child — here its children are ended with it', async () => {
  const tree = await adopted();
  tree.write('etc/skeleton.key', 'factory\n');
  const outside = path.join(path.dirname(tree.root), 'pids');
  addScript(
    tree,
    '50000001',
    `# rungs: { timeout: 1s }\n(sleep 600 & echo $! > "${outside}.child"; wait) &\nsleep 600 &\necho $! > "${outside}"\nwait\n`,
  );
  const { code, document } = await tree.json('up');
  expect(code).toBe(11);
  expect(document.failure).toMatchObject({ step: 'system/50000001', code: 'STEP_TIMEOUT' });
  const pids = [outside, `${outside}.child`].map((file) => Number(readFileSync(file, 'utf8')));
  for (const pid of pids) {
    expect(pid).toBeGreaterThan(1);
    expect(isAlive(pid)).toBe(false);
  }
  expect(await statusOf(tree)).toMatchObject({ height: 6, pending: 1 });
});

/** One that ended and was not yet collected by its parent does not live. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
