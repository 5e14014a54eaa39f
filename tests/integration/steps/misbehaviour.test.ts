import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import type { Step } from '../../../src/model/plan.ts';
import { executeOne, reverting, transition, until, workbench } from './workbench.ts';
import type { Workbench } from './workbench.ts';

let bench: Workbench;
const mebibyte = 1024 * 1024;
const flood = join(import.meta.dirname, '../../fixtures/steps/flood.ts');
const started: number[] = [];

afterEach(async () => {
  for (const pid of started.splice(0)) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  await bench.dispose();
});

interface Case {
  readonly why: string;
  readonly file: string;
  readonly text: string;
  readonly code: string;
  readonly says: RegExp;
  readonly over?: Partial<Step>;
}

const cases: readonly Case[] = [
  {
    why: 'throws',
    file: '001_a.ts',
    text: `export function forward() {\n  throw new Error('no disk');\n}`,
    code: 'STEP_FAILED',
    says: /no disk \(001_a\.ts:2\)/,
  },
  {
    why: 'throws a string',
    file: '001_a.ts',
    text: `export function forward() { throw 'plain'; }`,
    code: 'STEP_THREW_NO_ERROR',
    says: /plain/,
  },
  {
    why: 'throws undefined',
    file: '001_a.ts',
    text: `export function forward() { throw undefined; }`,
    code: 'STEP_THREW_NO_ERROR',
    says: /undefined/,
  },
  {
    why: 'rejects with an object',
    file: '001_a.ts',
    text: `export const forward = () => Promise.reject({ odd: 1 });`,
    code: 'STEP_THREW_NO_ERROR',
    says: /odd/,
  },
  {
    why: 'leaves a rejection unhandled',
    file: '001_a.ts',
    text: `export async function forward() { void Promise.reject(new Error('forgotten')); }`,
    code: 'STEP_UNHANDLED',
    says: /forgotten/,
  },
  {
    why: 'throws in a timer',
    file: '001_a.ts',
    text: `export const forward = () => new Promise(() => { setTimeout(() => { throw new Error('late'); }, 5); });`,
    code: 'STEP_UNHANDLED',
    says: /late/,
  },
  {
    why: 'ends its process with success',
    file: '001_a.ts',
    text: `export async function forward() { process.exit(0); }`,
    code: 'STEP_EXITED',
    says: /exit code 0/,
  },
  {
    why: 'ends its process with a code',
    file: '001_a.ts',
    text: `export async function forward() { process.exit(3); }`,
    code: 'STEP_EXITED',
    says: /exit code 3/,
  },
  {
    why: 'kills itself',
    file: '001_a.ts',
    text: `export async function forward() { process.kill(process.pid, 'SIGKILL'); await new Promise(() => setInterval(() => {}, 1000)); }`,
    code: 'STEP_KILLED',
    says: /SIGKILL/,
  },
  {
    why: 'waits for nothing',
    file: '001_a.ts',
    text: `export const forward = () => new Promise(() => {});`,
    code: 'STEP_NEVER_SETTLED',
    says: /nothing can settle/,
  },
  { why: 'is not a function', file: '001_a.ts', text: `export default { forward: 'yes' };`, code: 'STEP_NO_FUNCTION', says: /a string/ },
  { why: 'has no forward', file: '001_a.ts', text: `export const other = 1;`, code: 'STEP_NO_FUNCTION', says: /no forward/ },
  {
    why: 'is no TypeScript',
    file: '001_a.ts',
    text: `export const x = 1;\nexport const forward = (;`,
    code: 'STEP_SYNTAX',
    says: /001_a\.ts/,
  },
  { why: 'uses an enum', file: '001_a.ts', text: `enum A { B }\nexport const forward = () => A.B;`, code: 'STEP_SYNTAX', says: /enum/ },
  {
    why: 'imports a missing file',
    file: '001_a.ts',
    text: `import { x } from './_gone.ts';\nexport const forward = () => x;`,
    code: 'STEP_IMPORT',
    says: /_gone/,
  },
  {
    why: 'imports a missing package',
    file: '001_a.ts',
    text: `import x from 'not-a-package-here';\nexport const forward = () => x;`,
    code: 'STEP_IMPORT',
    says: /not-a-package-here/,
  },
  {
    why: 'imports a name that is not there',
    file: '001_a.ts',
    text: `import { gone } from 'node:fs';\nexport const forward = () => gone;`,
    code: 'STEP_IMPORT',
    says: /gone/,
  },
  {
    why: 'throws while it is loaded',
    file: '001_a.ts',
    text: `throw new Error('at load');\nexport const forward = () => {};`,
    code: 'STEP_LOAD',
    says: /at load/,
  },
  {
    why: 'awaits while it is loaded',
    file: '001_a.ts',
    text: `await Promise.resolve();\nexport const forward = () => {};`,
    code: 'STEP_LOAD',
    says: /await|async/i,
  },
  {
    why: 'ends by a failing command',
    file: '001_a.ts',
    text: `export const forward = ({ exec }) => exec('sh', ['-c', 'echo before; exit 4']);`,
    code: 'STEP_FAILED',
    says: /exit code 4/,
  },
  {
    why: 'runs a command that is not there',
    file: '001_a.ts',
    text: `export const forward = ({ exec }) => exec('no-such-command-here');`,
    code: 'STEP_FAILED',
    says: /ENOENT/,
  },
  {
    why: 'commits its own transaction',
    file: '001_a.ts',
    text: `export const forward = ({ sqlite }) => sqlite('app').exec('CREATE TABLE x (a); COMMIT');`,
    code: 'STEP_OWN_TRANSACTION',
    says: /COMMIT/,
  },
  {
    why: 'uses a database that is not there',
    file: '001_a.ts',
    text: `export const forward = ({ sqlite }) => sqlite('apps').exec('SELECT 1');`,
    code: 'STEP_DATABASE_UNKNOWN',
    says: /apps.*app/,
  },
  { why: 'sh fails', file: '001_a.sh', text: `echo before\nexit 7\n`, code: 'STEP_FAILED', says: /exit code 7/ },
  { why: 'sh calls what is not there', file: '001_a.sh', text: `no-such-command-here\n`, code: 'STEP_FAILED', says: /exit code 127/ },
  { why: 'sh is killed', file: '001_a.sh', text: `kill -9 $$\n`, code: 'STEP_KILLED', says: /SIGKILL/ },
  {
    why: 'sh names an interpreter that is not there',
    file: '001_a.sh',
    text: `#!/no/such/shell\nexit 0\n`,
    code: 'STEP_INTERPRETER',
    says: /\/no\/such\/shell/,
  },
  {
    why: 'py returns False',
    file: '001_a.py',
    text: `def migrate_forward(root):\n    return False\n`,
    code: 'STEP_FAILED',
    says: /returned False/,
  },
  {
    why: 'py raises',
    file: '001_a.py',
    text: `def migrate_forward(root):\n    raise ValueError('bad value')\n`,
    code: 'STEP_FAILED',
    says: /ValueError: bad value/,
  },
  {
    why: 'py exits with success',
    file: '001_a.py',
    text: `import sys\ndef migrate_forward(root):\n    sys.exit(0)\n`,
    code: 'STEP_EXITED',
    says: /exit code 0/,
  },
  {
    why: 'py leaves the process',
    file: '001_a.py',
    text: `import os\ndef migrate_forward(root):\n    os._exit(0)\n`,
    code: 'STEP_EXITED',
    says: /exit code 0/,
  },
  {
    why: 'py has no function',
    file: '001_a.py',
    text: `def migrate_backward(root):\n    return True\n`,
    code: 'STEP_NO_FUNCTION',
    says: /no forward/,
  },
  {
    why: 'py has a syntax error',
    file: '001_a.py',
    text: `def migrate_forward(root):\n    return (\n`,
    code: 'STEP_SYNTAX',
    says: /line 2/,
  },
  {
    why: 'py imports what is not there',
    file: '001_a.py',
    text: `import no_such_module_here\n`,
    code: 'STEP_IMPORT',
    says: /no_such_module_here/,
  },
  {
    why: 'sql has an error',
    file: '001_a.sql',
    text: `-- rungs: { database: app }\n-- forward\nCREATE TABLE a (x);\n\nINSERT INTO b VALUES (1);\n`,
    code: 'STEP_FAILED',
    says: /line 5: .*no such table: b/,
  },
  {
    why: 'sql has its own transaction',
    file: '001_a.sql',
    text: `-- forward\nBEGIN;\nCREATE TABLE a (x);\nCOMMIT;\n`,
    code: 'STEP_OWN_TRANSACTION',
    says: /BEGIN.*line 2/,
  },
  {
    why: 'sql fails outside a transaction',
    file: '001_a.sql',
    text: `CREATE TABLE a (x);\nSELECT nothing;\n`,
    code: 'STEP_SQL_PARTIAL',
    says: /line 2/,
    over: { transaction: false },
  },
  {
    why: 'sql leaves rows dangling',
    file: '001_a.sql',
    text: `CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id)); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1); DROP TABLE p; CREATE TABLE p (id INTEGER PRIMARY KEY);`,
    code: 'STEP_FOREIGN_KEYS',
    says: /rows of c/,
  },
];

describe('a step that goes wrong has a failure of its own', () => {
  test.each(cases)('$why: $code', async ({ file, text, code, says, over }) => {
    bench = workbench();
    const order = bench.step(file, text, over);
    const { status, failure } = await executeOne(bench, order);
    expect({ status, code: failure?.code, step: failure?.step }).toEqual({ status: 'failed', code, step: `${transition}/001_a` });
    expect(failure?.message).toMatch(says);
    expect(failure?.hint).not.toBe('');
    // The next step is not harmed by it.
    expect(await executeOne(bench, bench.step('002_b.ts', `export const forward = () => {};`))).toMatchObject({ status: 'done' });
  });
});

test('a failure carries the last lines of the output', async () => {
  bench = workbench();
  const { failure } = await executeOne(
    bench,
    bench.step(
      '001_a.ts',
      `export const forward = ({ log }) => { for (let i = 1; i <= 30; i++) console.log('line ' + i); log('last', { a: 1 }); console.error('to stderr'); throw new Error('x'); };`,
    ),
  );
  expect(failure?.log).toHaveLength(20);
  expect(failure?.log?.join('\n')).toMatch(/line 30\n[\s\S]*last \{ a: 1 \}/);
  expect(failure?.log).toContain('to stderr');
});

const hangs = [
  { why: 'ts that waits for ever', file: '001_a.ts', text: `export const forward = () => new Promise(() => setInterval(() => {}, 1000));` },
  { why: 'ts that never yields', file: '001_a.ts', text: `export const forward = () => { for (;;); };` },
  {
    why: 'ts whose command ignores SIGTERM',
    file: '001_a.ts',
    text: `export const forward = ({ exec }) => exec('sh', ['-c', 'trap "" TERM; echo $$ > pid; while :; do sleep 0.05; done']);`,
  },
  { why: 'sh that ignores SIGTERM', file: '001_a.sh', text: `trap "" TERM\necho $$ > pid\nwhile :; do sleep 0.05; done\n` },
  {
    why: 'sh whose grandchild left the group',
    file: '001_a.sh',
    text: `setsid sh -c 'trap "" TERM; echo $$ > pid; while :; do sleep 0.05; done' &\nsleep 600\n`,
  },
  {
    why: 'py that catches everything',
    file: '001_a.py',
    text: `import os, time\ndef migrate_forward(root):\n    open('pid', 'w').write(str(os.getpid()))\n    while True:\n        try:\n            time.sleep(0.1)\n        except BaseException:\n            pass\n`,
  },
  {
    why: 'sql that does not end',
    file: '001_a.sql',
    text: `CREATE TABLE n AS WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c;`,
  },
];

describe('a step that hangs is ended with all its processes', () => {
  test.each(hangs)('$why', async ({ file, text }) => {
    bench = workbench({ graceMs: 200 });
    const { failure } = await executeOne(bench, bench.step(file, text, { timeoutMs: 600 }));
    expect(failure).toMatchObject({ code: 'STEP_TIMEOUT', message: expect.stringContaining('600 ms') });
    await expectGone();
  });

  test('a run that is cancelled ends the step', async () => {
    bench = workbench({ graceMs: 200 });
    const running = executeOne(bench, bench.step('001_a.sh', `echo $$ > pid\nsleep 600\n`));
    await until('the step runs', () => existsSync(join(bench.root, 'pid')));
    bench.abort();
    expect((await running).failure).toMatchObject({ code: 'STEP_CANCELLED' });
    await expectGone();
  });

  test('a step that heeds its signal ends by itself, and its transaction is rolled back', async () => {
    bench = workbench({ graceMs: 20_000 });
    const order = bench.step(
      '001_a.ts',
      `export const forward = async ({ signal, sqlite }) => {
      await sqlite('app').exec('CREATE TABLE t (a)');
      await new Promise((done) => { const t = setInterval(() => {}, 1000); signal.addEventListener('abort', () => { clearInterval(t); done(); }); });
    };`,
      { timeoutMs: 3_000 },
    );
    expect((await executeOne(bench, order)).failure).toMatchObject({ code: 'STEP_TIMEOUT' });
    expect(bench.query("SELECT name FROM sqlite_schema WHERE name = 't'")).toEqual([]);
    expect(await bench.executor.examine(order, bench.run)).toBe('not-done');
  });
});

async function expectGone(): Promise<void> {
  const file = join(bench.root, 'pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8'));
  started.push(pid);
  await until(`process ${pid} is gone`, () => !isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('daemons', () => {
  test.each([
    { why: 'sh', file: '001_a.sh', text: `setsid sleep 300 &\necho $! > pid\n` },
    { why: 'sh that keeps the pipes open', file: '001_a.sh', text: `sleep 300 &\necho $! > pid\n` },
    { why: 'ts', file: '001_a.ts', text: `export const forward = ({ exec }) => exec('sh', ['-c', 'sleep 300 & echo $! > pid']);` },
    {
      why: 'ts by child_process',
      file: '001_a.ts',
      text: `import { spawn } from 'node:child_process'; import { writeFileSync } from 'node:fs';\nexport const forward = () => { const c = spawn('sleep', ['300'], { detached: true, stdio: 'ignore' }); c.unref(); writeFileSync('pid', String(c.pid)); };`,
    },
  ])('$why: the step is done at its exit, and the survivor is named and left running', async ({ file, text }) => {
    bench = workbench();
    const startedAt = performance.now();
    const outcome = await executeOne(bench, bench.step(file, text));
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    const pid = Number(bench.read('pid'));
    started.push(pid);
    expect(outcome).toMatchObject({ status: 'done', survivors: [{ pid, command: 'sleep 300' }] });
    expect(isAlive(pid)).toBe(true);
  });
});

describe('memory', () => {
  test.each([
    {
      why: 'buffers',
      file: '001_a.ts',
      text: `export const forward = async () => { const kept = []; for (;;) { kept.push(Buffer.alloc(8e6, 1)); await new Promise((r) => setTimeout(r, 5)); } };`,
    },
    {
      why: 'py',
      file: '001_a.py',
      text: `import time\ndef migrate_forward(root):\n    kept = []\n    while True:\n        kept.append(bytearray(8_000_000)); time.sleep(0.005)\n`,
    },
    {
      why: 'a child',
      file: '001_a.sh',
      text: `python3 -c "import time\nkept = []\nwhile True: kept.append(bytearray(8_000_000)); time.sleep(0.01)"\n`,
    },
  ])('a step that fills memory is killed: $why', async ({ file, text }) => {
    bench = workbench();
    const { failure } = await executeOne(bench, bench.step(file, text, { memoryBytes: 250 * mebibyte }));
    expect(failure).toMatchObject({ code: 'STEP_OUT_OF_MEMORY', message: expect.stringContaining('250 MiB') });
  });

  test('a heap that V8 itself gives up on', async () => {
    bench = workbench();
    const text = `import v8 from 'node:v8';\nv8.setFlagsFromString('--max-old-space-size=60');\nexport const forward = () => { const kept = []; for (;;) kept.push({ a: new Array(1000).fill(1.5) }); };`;
    const { failure } = await executeOne(bench, bench.step('001_a.ts', text));
    expect(failure).toMatchObject({ code: 'STEP_OUT_OF_MEMORY' });
  });
});

describe('output', () => {
  test.each([
    { why: 'sh', file: '001_a.sh', text: `yes "a line of output that goes on and on" | head -c 1000000000\necho the end\n` },
    { why: 'one endless line', file: '001_a.sh', text: `head -c 300000000 /dev/zero | tr '\\0' x\necho; echo the end\n` },
    {
      why: 'ts',
      file: '001_a.ts',
      text: `export const forward = () => { const chunk = 'a line of output\\n'.repeat(60_000); for (let i = 0; i < 1000; i++) process.stdout.write(chunk); console.log('the end'); };`,
    },
    {
      why: 'a command of ts',
      file: '001_a.ts',
      text: `export const forward = async ({ exec }) => { await exec('sh', ['-c', 'yes | head -c 1000000000']); console.log('the end'); };`,
    },
  ])('a gigabyte neither fails the step nor fills memory: $why', async ({ file, text }) => {
    bench = workbench();
    // In a process of its own, as this one carries all of the test runner.
    const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', flood, file, text]);
    const told: Record<string, unknown> = JSON.parse(stdout);
    expect(told).toMatchObject({ status: 'done', tellsWhatIsLeftOut: true, lastLine: 'the end' });
    expect(told['peakMebibytes']).toBeLessThan(150);
    expect(told['logMebibytes']).toBeLessThan(5);
    expect(told['lines']).toBeLessThan(20_000);
  });

  test('secrets, escape sequences and long lines', async () => {
    bench = workbench({ secrets: ['hunter2'] });
    const order = bench.step(
      '001_a.sh',
      `printf 'pw hunter2 \\033[31mred\\033[0m\\n'; head -c 20000 /dev/zero | tr '\\0' x; echo; printf 'no end'; exit 1\n`,
    );
    const { failure } = await executeOne(bench, order);
    const [first, long, last] = bench.logOf(order).trimEnd().split('\n');
    expect(first).toBe('pw [secret] \\x1b[31mred\\x1b[0m');
    expect(long).toMatch(/^x{8192} … 11808 characters cut$/);
    expect(last).toBe('no end');
    expect(JSON.stringify([failure, bench.events])).not.toContain('hunter2');
  });

  test('all lines come before the outcome, in order, with log lines in their place', async () => {
    bench = workbench();
    const text = `export const forward = ({ log }) => { console.log('one'); log('two'); log.warn('three'); process.stdout.write('four'); };`;
    for (let n = 1; n <= 30; n += 1) {
      bench.events.length = 0;
      await executeOne(bench, bench.step(`${String(n).padStart(3, '0')}_a.ts`, text));
      expect(bench.events.map((event) => (event.type === 'step-output' ? `${event.stream} ${event.line}` : event.type))).toEqual([
        'stdout one',
        'log two',
        'log warning: three',
        'stdout four',
      ]);
    }
  });
});

test('the environment of a step is that of the contract, in every kind', async () => {
  bench = workbench();
  const orders = [
    bench.step('001_a.sh', `env | grep '^UPGRADE_' > sh.env; pwd >> sh.env; if read line; then echo "$line" >> sh.env; fi\n`),
    bench.step(
      '002_b.py',
      `import os\ndef migrate_forward(root):\n    open('py.env', 'w').write('\\n'.join([f'{k}={v}' for k, v in os.environ.items() if k.startswith('UPGRADE_')] + [os.getcwd()]))\n`,
    ),
    bench.step(
      '003_c.ts',
      `import { writeFileSync } from 'node:fs';\nexport const forward = async ({ exec }) => { const { stdout } = await exec('env'); writeFileSync('ts.env', [...stdout.split('\\n').filter((l) => l.startsWith('UPGRADE_')), process.cwd()].join('\\n')); };`,
    ),
  ];
  for (const order of orders) expect(await executeOne(bench, order)).toMatchObject({ status: 'done' });
  for (const [file, step] of [
    ['sh.env', '001_a'],
    ['py.env', '002_b'],
    ['ts.env', '003_c'],
  ] as const) {
    expect(bench.read(file).trim().split('\n').toSorted()).toEqual(
      [
        bench.root,
        `UPGRADE_DB_APP=${bench.root}/data/app.db`,
        'UPGRADE_DIRECTION=forward',
        'UPGRADE_FROM=0.1.0',
        `UPGRADE_ROOT=${bench.root}`,
        'UPGRADE_RUN_ID=RUN1',
        `UPGRADE_STEP=${transition}/${step}`,
        'UPGRADE_TO=0.2.0',
      ].toSorted(),
    );
  }
});

test('a py step imports a module of its own folder', async () => {
  bench = workbench();
  bench.step('_helper.py', `value = 42\n`);
  expect(
    await executeOne(
      bench,
      bench.step('001_a.py', `from _helper import value\ndef migrate_forward(root):\n    assert value == 42\n    return True\n`),
    ),
  ).toMatchObject({ status: 'done' });
});

test('a missing backward is a failure of its own', async () => {
  bench = workbench();
  const order = bench.step('001_a.ts', `export const forward = () => {};`, { hasBackward: false });
  expect((await executeOne(bench, reverting(order))).failure).toMatchObject({ code: 'STEP_NO_FUNCTION' });
});
