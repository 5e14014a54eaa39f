// What programs read: the documents of --json and --events by the contract's shapes, exactly one on stdout, and exit codes.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { snapshot } from '../../unit/discover/tree.ts';
import { makeSmall } from './installation.ts';

const resultKeys = [
  'outcome',
  'runId',
  'product',
  'from',
  'to',
  'version',
  'durationMs',
  'planHash',
  'phases',
  'steps',
  'services',
  'probes',
  'backup',
  'restored',
  'drift',
  'failure',
  'failures',
  'warnings',
  'next',
];
const ulid = expect.stringMatching(/^[0-9A-HJKMNP-TV-Z]{26}$/);

describe('reading commands', () => {
  test('plan: exactly the contract, by --json and by --format json, and nothing written', async () => {
    const { dir, upgrade } = makeSmall();
    const before = snapshot(dir);
    const { code, stdout } = await upgrade(['plan', '--json']);
    expect(code).toBe(0);
    const plan = JSON.parse(stdout);
    expect(plan).toEqual({
      from: '1.0.0',
      to: '2.0.0',
      hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      transitions: [
        {
          id: 'v1.0.0_to_v1.1.0',
          from: '1.0.0',
          to: '1.1.0',
          description: '',
          breaking: false,
          steps: [step('v1.0.0_to_v1.1.0/001_add_email', 'sql', 'add email')],
        },
        {
          id: 'v1.1.0_to_v2.0.0',
          from: '1.1.0',
          to: '2.0.0',
          description: '',
          breaking: false,
          steps: [step('v1.1.0_to_v2.0.0/001_note', 'sh', 'Write a note')],
        },
      ],
      restarts: [],
      backup: { sources: expect.arrayContaining(['VERSION']), estimatedBytes: expect.any(Number) },
      ladders: [],
      findings: [],
    });
    expect(JSON.parse((await upgrade(['plan', '--format', 'json'])).stdout)).toEqual(plan);
    expect(JSON.parse((await upgrade(['--dry-run', '--json'])).stdout)).toEqual(plan);
    expect(JSON.parse((await upgrade(['plan', '--to', '1.1.0', '--json'])).stdout)).toMatchObject({
      to: '1.1.0',
      transitions: [{ id: 'v1.0.0_to_v1.1.0' }],
    });
    expect((await upgrade(['plan', '--format', 'mermaid'])).stdout).toMatch(/^graph LR\n/);
    expect(snapshot(dir)).toEqual(before);
  });

  test('status: exactly the contract', async () => {
    const { dir, upgrade } = makeSmall();
    const before = snapshot(dir);
    const { code, stdout } = await upgrade(['status', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      product: 'small',
      version: '1.0.0',
      latest: '2.0.0',
      pending: ['v1.0.0_to_v1.1.0', 'v1.1.0_to_v2.0.0'],
      state: 'pending',
      run: null,
      lock: null,
      lastRun: null,
      backups: [],
      ladders: [],
      services: [],
    });
    expect(snapshot(dir)).toEqual(before);
  });

  test('status tells what keeps it from knowing', async () => {
    const { upgrade } = makeSmall({ files: { 'migrations/v2.0.0-v2.1.0/001_x.sh': '' } });
    const { code, stdout } = await upgrade(['status', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'error', version: '1.0.0', problems: [{ code: 'TRANSITION_NAME' }] });
  });

  test('doctor and check', async () => {
    const { upgrade, root } = makeSmall();
    expect(JSON.parse((await upgrade(['doctor', '--json'])).stdout)).toEqual({ findings: [] });
    expect(JSON.parse((await upgrade(['check', '--json'])).stdout)).toEqual({
      problems: [],
      findings: [],
      transitions: 2,
      steps: 2,
      failure: null,
      failures: [],
    });
    writeFileSync(path.join(root, 'data/app.db'), 'damaged'.repeat(1000));
    const doctor = await upgrade(['doctor', '--json']);
    expect(doctor.code).toBe(3);
    expect(JSON.parse(doctor.stdout).findings).toMatchObject([
      { level: 'block', code: 'DATABASE_CORRUPT', hint: expect.stringMatching(/\w/) },
    ]);
    const text = await upgrade(['doctor']);
    expect(text.stdout).toMatch(/✗[^]*DATABASE_CORRUPT[^]*→/);
    writeFileSync(path.join(root, 'upgrade.yaml'), 'product: x\nversoin: { file: VERSION }\n');
    const check = await upgrade(['check', '--json']);
    expect(check.code).toBe(2);
    expect(JSON.parse(check.stdout).problems.map(({ code }: { code: string }) => code)).toEqual(['MISSING_KEY', 'UNKNOWN_KEY']);
  });

  test.each([
    ['--version', '--json'],
    ['status', '--version', '--json'],
    ['--json', 'backup', 'list', '--version'],
  ])('%s %s', async (...args) => {
    expect(JSON.parse((await makeSmall().upgrade(args)).stdout)).toEqual({ version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
  });

  test('values from the environment are in no document', async () => {
    const { upgrade } = makeSmall({ config: 'state: "${STATE_DIR}"\n' });
    const env = { STATE_DIR: 'hidden-place' };
    for (const args of [
      ['backup', 'create', '--json'],
      ['backup', 'list', '--json'],
      ['backup', 'list'],
      ['status', '--json'],
      ['backup', 'verify', '--json'],
      ['history', 'hidden-place', '--json'],
      ['plan'],
    ]) {
      const { stdout, stderr } = await upgrade(args, { env });
      expect(stdout + stderr, args.join(' ')).not.toContain('hidden-place');
    }
  });
});

describe('running commands', () => {
  test('an upgrade, the same again, and what is told of it afterwards', async () => {
    const { upgrade, root } = makeSmall();
    const { code, stdout, stderr } = await upgrade(['--json']);
    expect(code).toBe(0);
    expect(stderr).toContain('small is at 2.0.0');
    const result = JSON.parse(stdout);
    expect(Object.keys(result)).toEqual(resultKeys);
    expect(result).toMatchObject({
      outcome: 'committed',
      runId: ulid,
      product: 'small',
      from: '1.0.0',
      to: '2.0.0',
      version: '2.0.0',
      backup: { verified: true },
      failure: null,
    });
    expect(result.steps.map(({ status }: { status: string }) => status)).toEqual(['applied', 'applied']);
    expect(readFileSync(path.join(root, 'VERSION'), 'utf8')).toBe('2.0.0\n');

    const again = await upgrade(['--json']);
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ outcome: 'nothing-to-do', runId: null, version: '2.0.0' });

    const runs = JSON.parse((await upgrade(['history', '--json'])).stdout);
    expect(runs).toMatchObject([{ id: result.runId, outcome: 'committed' }]);
    const run = JSON.parse((await upgrade(['history', result.runId, '--json'])).stdout);
    expect(run).toMatchObject({ id: result.runId, steps: [{ status: 'applied', durationMs: expect.any(Number) }, { status: 'applied' }] });
    const followed = await upgrade(['follow', '--json']);
    expect(followed.code).toBe(0);
    expect(JSON.parse(followed.stdout)).toEqual(result);
    expect(JSON.parse((await upgrade(['resume', '--json'])).stdout)).toMatchObject({
      outcome: 'refused',
      failure: { code: 'NO_UNFINISHED_RUN' },
      version: '2.0.0',
      product: 'small',
    });
  });

  test('events: one per line, in order, the result last', async () => {
    const { upgrade } = makeSmall();
    const { code, stdout } = await upgrade(['--events']);
    expect(code).toBe(0);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const result = lines.pop();
    expect(Object.keys(result)).toEqual(resultKeys);
    expect(lines[0]).toMatchObject({ type: expect.any(String), seq: expect.any(Number), runId: result.runId, at: expect.any(String) });
    expect(lines.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['run-started', 'phase-started', 'step-started', 'step-finished', 'version-written', 'run-finished']),
    );
    const seqs = lines.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    const refused = await upgrade(['--events', '--to', '1.0.0']);
    expect(refused.code).toBe(3);
    expect(
      refused.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ outcome: 'refused', failure: { code: 'DOWNGRADE_REFUSED' }, version: '2.0.0' }]);
  });

  test('an upgrade that fails: 10, its story in the history with output, times, restored paths and logs', async () => {
    const { upgrade, root } = makeSmall({ fails: true });
    const { code, stdout } = await upgrade(['--json']);
    expect(code).toBe(10);
    const result = JSON.parse(stdout);
    expect(Object.keys(result)).toEqual(resultKeys);
    expect(result).toMatchObject({
      outcome: 'rolled-back',
      version: '1.0.0',
      next: `upgrade history ${result.runId}`,
      failure: {
        phase: 'orchestration',
        step: 'v2.0.0_to_v3.0.0/001_fails',
        code: 'STEP_FAILED',
        hint: expect.any(String),
        log: expect.arrayContaining([expect.stringContaining('about to fail')]),
      },
    });
    const { stdout: story } = await upgrade(['history', result.runId]);
    for (const part of ['rolled back', 'v1.0.0_to_v1.1.0/001_add_email', 'v2.0.0_to_v3.0.0/001_fails', 'about to fail', 'STEP_FAILED'])
      expect(story).toContain(part);
    expect(story.replaceAll(/\n\s+/g, '')).toContain(path.join(root, '.upgrade/runs', result.runId));
    expect(story).toMatch(/\d (ms|s)\b/);
    expect((await upgrade(['history'])).stdout).toContain(result.runId);
    const followed = await upgrade(['follow', result.runId, '--json']);
    expect(followed.code).toBe(10);
    expect(JSON.parse(followed.stdout)).toEqual(result);
  });

  test('--detach prints the id of the run, and follow waits for its end', async () => {
    const { upgrade, root } = makeSmall();
    const { code, stdout } = await upgrade(['--detach', '--json']);
    expect(code).toBe(0);
    const { runId } = JSON.parse(stdout);
    expect(runId).toEqual(ulid);
    const followed = await upgrade(['follow', runId, '--json']);
    expect(JSON.parse(followed.stdout)).toMatchObject({ outcome: 'committed', runId });
    expect(readFileSync(path.join(root, 'VERSION'), 'utf8')).toBe('2.0.0\n');
  });

  test('the plan that was looked at is the plan that runs, and a downgrade goes back', async () => {
    const { upgrade } = makeSmall();
    const { hash } = JSON.parse((await upgrade(['plan', '--json'])).stdout);
    expect((await upgrade(['--plan-hash', hash, '-q'])).code).toBe(0);
    const { code, stdout } = await upgrade(['--to', '1.0.0', '--allow-downgrade', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'committed', from: '2.0.0', to: '1.0.0', version: '1.0.0' });
  });
});

function step(id: string, kind: string, description: string) {
  return {
    id,
    kind,
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    description,
    reversible: true,
    requiresRestart: [],
    estimatedDurationSeconds: null,
  };
}
