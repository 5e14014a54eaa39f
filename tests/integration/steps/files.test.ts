import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { undoDir } from '../../../src/steps/host/undo-log.ts';
import { undoRecorded } from '../../../src/steps/undo.ts';
import { testNeeding } from '../../support/needs.ts';
import { executeOne, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let bench: Workbench;
beforeEach(() => {
  bench = workbench();
});
afterEach(() => bench.dispose());

let applied = 0;

/** A file name of its own each time: a host loads each file once. */
async function apply(body: string): Promise<Awaited<ReturnType<typeof executeOne>>> {
  applied += 1;
  return executeOne(
    bench,
    bench.step(
      `${String(applied).padStart(3, '0')}_a.ts`,
      `export const forward = async ({ files, exec, sqlite, checkpoint }) => { ${body} };`,
    ),
  );
}

describe('changing files', () => {
  const yaml = `# top\nserver:\n    port: 80   # the port\n    hosts:\n    - a\n    - b # last\n# end\n`;

  test('comments, indentation and long lines of YAML stay', async () => {
    const long = `note: ${'word '.repeat(60).trim()}\n`;
    bench.put('app.yaml', yaml + long);
    expect(
      await apply(`await files.updateYaml('app.yaml', (doc) => { doc.setIn(['server', 'port'], 8080); doc.setIn(['mail', 'on'], true); })`),
    ).toMatchObject({ status: 'done' });
    expect(bench.read('app.yaml')).toBe(yaml.replace('80   #', '8080 #').replace('# end\n', `# end\n${long}mail:\n    on: true\n`));
  });

  test('YAML that is not changed is not written', async () => {
    bench.put('app.yaml', yaml);
    await apply(`await files.updateYaml('app.yaml', () => {})`);
    expect(bench.read('app.yaml')).toBe(yaml);
    expect(existsSync(join(bench.run.dir, 'undo'))).toBe(false);
  });

  test.each([
    { why: 'two spaces', before: `{\n  "a": 1\n}\n`, after: `{\n  "a": 1,\n  "b": 2\n}\n` },
    { why: 'tabs, no newline at the end', before: `{\n\t"a": 1\n}`, after: `{\n\t"a": 1,\n\t"b": 2\n}` },
    { why: 'one line', before: `{"a":1}\n`, after: `{"a":1,"b":2}\n` },
  ])('JSON keeps its indentation: $why', async ({ before, after }) => {
    bench.put('a.json', before);
    await apply(`await files.updateJson('a.json', (value) => ({ ...value, b: 2 }))`);
    expect(bench.read('a.json')).toBe(after);
  });

  test('.env keeps comments, order, quotes and multi-line values', async () => {
    bench.put('.env', `# head\nexport A=1 # one\nB="two words"\nC='x'\n\nKEY="-----\nA=not this\n-----"\nD=4\n`);
    await apply(`await files.updateEnv('.env', { A: '9', B: 'say "hi"', C: 'y', D: null, E: 'a b' })`);
    expect(bench.read('.env')).toBe(`# head\nexport A=9 # one\nB="say \\"hi\\""\nC='y'\n\nKEY="-----\nA=not this\n-----"\nE="a b"\n`);
    await apply(`await files.updateEnv('.env', (values) => ({ F: values.B + values.A }))`);
    expect(bench.read('.env')).toContain(`F="say \\"hi\\"9"\n`);
  });

  test('modes are kept, and set where they are given', async () => {
    bench.put('secret', 'a');
    chmodSync(join(bench.root, 'secret'), 0o640);
    await apply(
      `await files.write('secret', 'b'); await files.append('secret', 'c'); await files.write('bin/run', '#!/bin/sh', { mode: 0o755 }); await files.write('plain', 'x'); await files.chmod('plain', 0o600)`,
    );
    expect(bench.read('secret')).toBe('bc');
    const modes = ['secret', 'bin/run', 'plain'].map((path) => (lstatSync(join(bench.root, path)).mode & 0o777).toString(8));
    expect(modes).toEqual(['640', '755', '600']);
    expect(readdirSync(bench.root).filter((name) => name.includes('rungs-tmp'))).toEqual([]);
  });

  test('writing through a link changes what it points to', async () => {
    bench.put('real/conf', 'a');
    symlinkSync('real/conf', join(bench.root, 'conf'));
    await apply(`await files.write('conf', 'b')`);
    expect([bench.read('real/conf'), readlinkSync(join(bench.root, 'conf'))]).toEqual(['b', 'real/conf']);
  });
});

describe('a step stays inside the installation', () => {
  let outside: string;
  beforeEach(() => {
    outside = mkdtempSync(join(tmpdir(), 'rungs-outside-'));
    writeFileSync(join(outside, 'file'), 'theirs');
    symlinkSync(outside, join(bench.root, 'out'));
    symlinkSync(join(outside, 'new'), join(bench.root, 'dangling'));
    bench.put('mine', 'x');
  });
  afterEach(() => rmSync(outside, { recursive: true, force: true }));

  test.each([
    { body: `files.write('../x', 'x')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.write('/etc/rungs-test', 'x')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.write('out/file', 'x')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.write('out/deep/er/file', 'x')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.write('dangling', 'x')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.read('out/file')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.remove('out/file')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.move('mine', 'out/mine')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.copy('out/file', 'mine2')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.symlink('../..', 'up')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.chmod('out', 0o777)`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.remove('.')`, code: 'STEP_PATH_OUTSIDE' },
    { body: `files.write('.upgrade/journal.db', 'x')`, code: 'STEP_PATH_PROTECTED' },
    { body: `files.remove('.upgrade')`, code: 'STEP_PATH_PROTECTED' },
    { body: `files.move('.upgrade', 'away')`, code: 'STEP_PATH_PROTECTED' },
    { body: `files.write('mine/below', 'x')`, code: 'STEP_FILE' },
    { body: `files.read('nowhere')`, code: 'STEP_FILE' },
    { body: `files.mkdir('mine')`, code: 'STEP_FILE' },
    { body: `files.write('data', 'x')`, code: 'STEP_FILE' },
  ])('$body is refused: $code', async ({ body, code }) => {
    expect((await apply(`await ${body}`)).failure).toMatchObject({ code });
    expect(readdirSync(outside)).toEqual(['file']);
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('theirs');
    expect(bench.read('mine')).toBe('x');
  });

  test('a link that leads out may itself be removed', async () => {
    expect(await apply(`await files.remove('out')`)).toMatchObject({ status: 'done' });
    expect([existsSync(join(bench.root, 'out')), existsSync(join(outside, 'file'))]).toEqual([false, true]);
  });
});

/** Everything that an installation is: paths with type, mode, owner, time and content. */
function pictureOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.startsWith('.upgrade'))
    .toSorted()
    .map((path) => {
      const at = join(folder, path);
      const { mode, uid, gid, mtimeMs } = lstatSync(at);
      const content = lstatSync(at).isSymbolicLink() ? readlinkSync(at) : lstatSync(at).isFile() ? readFileSync(at, 'utf8') : '';
      return [path, mode.toString(8), uid, gid, lstatSync(at).isSymbolicLink() ? 0 : Math.round(mtimeMs), content].join(' ');
    });
}

function furnish(): void {
  bench.put('conf/app.yaml', 'a: 1\n');
  bench.put('conf/.env', 'A=1\n');
  bench.put('uploads/2024/a.txt', 'aaa');
  bench.put('uploads/2024/b.txt', 'bbb');
  bench.put('old/deep/file', 'deep');
  bench.put('run.sh', '#!/bin/sh\n');
  bench.put('target', 'overwritten');
  mkdirSync(join(bench.root, 'old/empty'));
  symlinkSync('app.yaml', join(bench.root, 'conf/link'));
  chmodSync(join(bench.root, 'run.sh'), 0o750);
  chmodSync(join(bench.root, 'old/deep'), 0o700);
  for (const [n, path] of [
    'conf/app.yaml',
    'conf/.env',
    'run.sh',
    'uploads/2024/a.txt',
    'old/deep/file',
    'target',
    'old/deep',
    'old/empty',
    'old',
    'uploads/2024',
    'uploads',
    'conf',
    'data',
    '.',
  ].entries()) {
    utimesSync(join(bench.root, path), 1_600_000_000 + n, 1_600_000_000 + n);
  }
}

const everything = [
  `await files.updateYaml('conf/app.yaml', (doc) => doc.set('a', 2));`,
  `await files.updateEnv('conf/.env', { A: '2', B: '3' });`,
  `await files.write('conf/app.yaml', 'b: 1');`,
  `await files.chmod('run.sh', 0o700);`,
  `await files.move('uploads/2024', 'uploads/archive/2024');`,
  `await files.write('uploads/2024', 'a file where the folder was');`,
  `await files.append('uploads/archive/2024/a.txt', 'more');`,
  `await files.move('run.sh', 'target');`,
  `await files.copy('old', 'copy/of/old');`,
  `await files.remove('old');`,
  `await files.mkdir('old', { mode: 0o711 });`,
  `await files.write('old/new', 'new');`,
  `await files.remove('conf/link');`,
  `await files.symlink('conf/app.yaml', 'link2');`,
  `await files.remove('link2');`,
  `await files.remove('copy');`,
];

describe('what was recorded is taken back', () => {
  test.each(everything.map((_, n) => ({ count: n + 1, last: everything[n] })))(
    'after $count changes, the last one $last',
    async ({ count }) => {
      furnish();
      const before = pictureOf(bench.root);
      const order = bench.step(
        '001_a.ts',
        `export const forward = async ({ files }) => { ${everything.slice(0, count).join('\n')} throw new Error('now') };`,
      );
      expect((await executeOne(bench, order)).failure).toMatchObject({ code: 'STEP_FAILED' });
      expect(pictureOf(bench.root)).not.toEqual(before);
      const { undone, isComplete } = await bench.executor.undoRecorded(order, bench.run);
      expect(undone).toBeGreaterThanOrEqual(count);
      expect(isComplete).toBe(true);
      expect(pictureOf(bench.root)).toEqual(before);
      expect(await bench.executor.undoRecorded(order, bench.run)).toEqual({ undone: 0, isComplete: true });
      expect(pictureOf(bench.root)).toEqual(before);
    },
  );

  testNeeding('python3')('extended attributes, times to the nanosecond and other names of a file come back with it', async () => {
    furnish();
    const file = join(bench.root, 'conf/app.yaml');
    execFileSync('python3', ['-c', `import os; os.setxattr(${JSON.stringify(file)}, 'user.note', b'kept')`]);
    linkSync(file, join(bench.root, 'conf/second'));
    const stateOf = (): unknown => {
      const { ino, nlink, mtimeNs, mode } = lstatSync(join(bench.root, 'conf/second'), { bigint: true });
      const note = execFileSync('python3', ['-c', `import os; print(os.getxattr(${JSON.stringify(file)}, 'user.note'))`], {
        encoding: 'utf8',
      });
      return [ino === lstatSync(file, { bigint: true }).ino, nlink >= 2n, mtimeNs, mode, note];
    };
    const before = stateOf();
    const order = bench.step(
      '001_a.ts',
      `export const forward = async ({ files }) => { await files.append('conf/app.yaml', 'b: 2'); await files.chmod('conf/app.yaml', 0o600); throw new Error('now') };`,
    );
    await executeOne(bench, order);
    expect(readFileSync(file, 'utf8')).toContain('b: 2');
    expect(await bench.executor.undoRecorded(order, bench.run)).toMatchObject({ isComplete: true });
    expect(readFileSync(file, 'utf8')).toBe('a: 1\n');
    expect(stateOf()).toEqual(before);
  });

  test('an undo that is killed after any entry is finished by the next', async () => {
    furnish();
    const before = pictureOf(bench.root);
    const order = bench.step('001_a.ts', `export const forward = async ({ files }) => { ${everything.join('\n')} };`);
    expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
    await bench.executor.close();
    const dir = undoDir(bench.run.dir, order.step.id, 'apply');
    const log = readFileSync(join(dir, 'log.ndjson'), 'utf8');
    const entries = log.trimEnd().split('\n').length;
    const kept = mkdtempSync(join(tmpdir(), 'rungs-kept-'));
    execFileSync('cp', ['-a', `${bench.root}/.`, kept]);
    for (let killedAfter = 0; killedAfter < entries; killedAfter += 1) {
      // The undone mark of the last entry is lost: its effect was there, its record not.
      for (const name of readdirSync(bench.root)) rmSync(join(bench.root, name), { recursive: true });
      execFileSync('cp', ['-a', `${kept}/.`, bench.root]);
      const part = log.trimEnd().split('\n');
      writeFileSync(join(dir, 'log.ndjson'), `${part.slice(entries - killedAfter - 1).join('\n')}\n`);
      await undoRecorded(order, bench.config, bench.run);
      const marks = readFileSync(join(dir, 'undone'), 'utf8').trimEnd().split('\n');
      writeFileSync(
        join(dir, 'undone'),
        marks
          .slice(0, -1)
          .map((mark) => `${mark}\n`)
          .join(''),
      );
      writeFileSync(join(dir, 'log.ndjson'), log);
      await undoRecorded(order, bench.config, bench.run);
      expect(pictureOf(bench.root)).toEqual(before);
    }
    rmSync(kept, { recursive: true });
  });

  test('a torn last record is no record, and an attempt after it goes on', async () => {
    furnish();
    const before = pictureOf(bench.root);
    const order = bench.step('001_a.ts', `export const forward = async ({ files }) => { ${everything[0]} throw new Error('now') };`);
    await executeOne(bench, order);
    writeFileSync(join(undoDir(bench.run.dir, order.step.id, 'apply'), 'log.ndjson'), '{"n":1,"chan', { flag: 'a' });
    const again = bench.step('001_a.ts', `export const forward = async ({ files }) => { ${everything[3]} throw new Error('now') };`);
    await bench.executor.close();
    await executeOne(bench, again);
    expect((await bench.executor.undoRecorded(order, bench.run)).undone).toBe(2);
    expect(pictureOf(bench.root)).toEqual(before);
  });

  test('a corrupt record in the middle is an error, and nothing is touched', async () => {
    furnish();
    const order = bench.step('001_a.ts', `export const forward = async ({ files }) => { ${everything.slice(0, 3).join('\n')} };`);
    await executeOne(bench, order);
    const file = join(undoDir(bench.run.dir, order.step.id, 'apply'), 'log.ndjson');
    writeFileSync(file, readFileSync(file, 'utf8').replace('{', '#'));
    const after = pictureOf(bench.root);
    await expect(bench.executor.undoRecorded(order, bench.run)).rejects.toThrow('UNDO_RECORD_CORRUPT');
    expect(pictureOf(bench.root)).toEqual(after);
  });

  test.each([
    { why: 'only files', body: `await files.write('x', '1'); throw new Error('now');`, isComplete: true },
    {
      why: 'files and SQL that was rolled back',
      body: `await files.write('x', '1'); await sqlite('app').exec('CREATE TABLE t (a)'); throw new Error('now');`,
      isComplete: true,
    },
    {
      why: 'SQL that was committed',
      body: `await files.write('x', '1'); await sqlite('app').exec('CREATE TABLE t (a)');`,
      isComplete: false,
    },
    { why: 'a command', body: `await files.write('x', '1'); await exec('true'); throw new Error('now');`, isComplete: false },
    {
      why: 'rows committed by a checkpoint',
      body: `await sqlite('app').exec('CREATE TABLE t (a)'); await checkpoint.save(1); throw new Error('now');`,
      isComplete: false,
    },
    { why: 'nothing at all', body: ``, isComplete: true },
  ])('it is told whether that was all: $why', async ({ body, isComplete }) => {
    const order = bench.step('001_a.ts', `export const forward = async ({ files, exec, sqlite, checkpoint }) => { ${body} };`);
    await executeOne(bench, order);
    expect(await bench.executor.undoRecorded(order, bench.run)).toMatchObject({ isComplete });
    expect(existsSync(join(bench.root, 'x'))).toBe(false);
  });
});
