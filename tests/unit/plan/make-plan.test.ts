import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { planDocument as planSchema } from '../../../schemas/plan-document.ts';
import { failuresOf } from '../../../src/model/failure.ts';
import type { Plan, Step, VersionTransition } from '../../../src/model/plan.ts';
import type { StepStatus } from '../../../src/model/run.ts';
import { parseVersion } from '../../../src/model/version.ts';
import { mermaidOf } from '../../../src/plan/explain.ts';
import { makePlan, type PlanRequest } from '../../../src/plan/make-plan.ts';
import { planDocument } from '../../../src/plan/plan-document.ts';
import { remainingOf } from '../../../src/plan/remaining.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function step(id: string, about: Partial<Step> = {}): Step {
  return {
    id,
    number: 1,
    name: 'x',
    kind: 'sql',
    forwardFile: '001_x.sql',
    backwardFile: null,
    sha256: 'a'.repeat(64),
    hasBackward: true,
    isDatabaseOnly: false,
    isReversible: true,
    description: 'does x',
    requiresRestart: [],
    breaking: false,
    estimatedDurationMs: null,
    timeoutMs: null,
    idempotent: false,
    database: 'app',
    transaction: true,
    hasCheck: false,
    backup: [],
    memoryBytes: null,
    lockTimeoutMs: null,
    statementTimeoutMs: null,
    isPlainScript: false,
    ...about,
  };
}

function transition(from: string, to: string, about: Partial<VersionTransition> = {}): VersionTransition {
  const id = `v${from}_to_v${to}`;
  return {
    id,
    from: parseVersion(from),
    to: parseVersion(to),
    dir: `/somewhere/${id}`,
    description: '',
    breaking: false,
    stop: false,
    blocked: null,
    requires: { diskBytes: null, memoryBytes: null, commands: [], services: [], env: [] },
    images: {},
    ladders: {},
    files: [],
    steps: [step(`${id}/001_x`), step(`${id}/002_y`, { number: 2, requiresRestart: ['api'], estimatedDurationMs: 1500 })],
    climb: null,
    ...about,
  };
}

const transitions = [transition('0.1.0', '0.2.0'), transition('0.2.0', '0.3.0', { description: 'Mail', ladders: { main: 23 } })];

function planOf(request: Partial<PlanRequest> = {}): Plan {
  const made = makePlan({ product: 'home', transitions, installed: parseVersion('0.1.0'), sha256, ...request });
  if (made.kind !== 'plan') throw new Error('nothing to do');
  return made.plan;
}

const down = {
  installed: parseVersion('0.3.0'),
  to: parseVersion('0.1.0'),
  allowDowngrade: true,
  committedPath: transitions.map(({ id }) => id),
};

describe('a plan', () => {
  test('has the transitions of the path in running order', () => {
    expect(planOf()).toMatchObject({
      product: 'home',
      from: '0.1.0',
      to: '0.3.0',
      direction: 'up',
      transitions,
      hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
  });

  test('of a downgrade has transitions and steps the other way round', () => {
    const plan = planOf(down);
    expect(plan).toMatchObject({ from: '0.3.0', to: '0.1.0', direction: 'down' });
    expect(plan.transitions.flatMap(({ steps }) => steps.map(({ id }) => id))).toEqual([
      'v0.2.0_to_v0.3.0/002_y',
      'v0.2.0_to_v0.3.0/001_x',
      'v0.1.0_to_v0.2.0/002_y',
      'v0.1.0_to_v0.2.0/001_x',
    ]);
  });

  test('of a downgrade names every step that has no backward', () => {
    const lacking = transitions.map((one) => ({
      ...one,
      steps: one.steps.map((inner) => ({ ...inner, hasBackward: inner.number === 1 })),
    }));
    expect(() => planOf({ ...down, transitions: lacking })).toThrow('STEP_IRREVERSIBLE: 2 steps have no backward');
    try {
      planOf({ ...down, transitions: lacking });
    } catch (error) {
      expect(failuresOf(error)[0]?.message).toMatch(
        /v0\.2\.0_to_v0\.3\.0\/002_y.*v0\.1\.0_to_v0\.2\.0\/002_y|v0\.1\.0_to_v0\.2\.0\/002_y.*v0\.2\.0_to_v0\.3\.0\/002_y/,
      );
    }
  });

  test('needs the folders of its path', () => {
    expect(() => planOf({ graph: transitions, transitions: transitions.slice(0, 1) })).toThrow('TRANSITION_MISSING');
  });

  test.each([
    { why: 'where the folder lies', change: { dir: '/elsewhere' }, isSame: true },
    { why: 'the content of a step', change: { steps: [step('v0.1.0_to_v0.2.0/001_x', { sha256: 'b'.repeat(64) })] }, isSame: false },
    { why: 'the content of a helper', change: { files: [{ path: '_lib.sh', sha256: 'c' }] }, isSame: false },
    { why: 'the time that a step may take', change: { steps: [step('v0.1.0_to_v0.2.0/001_x', { timeoutMs: 1 })] }, isSame: false },
  ])('its hash is the same after a change of $why: $isSame', ({ change, isSame }) => {
    const changed = planOf({ transitions: [transition('0.1.0', '0.2.0', change), transitions[1] ?? transition('0.2.0', '0.3.0')] });
    expect(changed.hash === planOf().hash).toBe(isSame);
  });
});

describe('what a plan is shown as', () => {
  const surroundings = { services: ['web', 'api'], backup: { sources: ['data'], estimatedBytes: 2048 }, findings: [] };

  test('the document fits its schema and has the shape of the contract', () => {
    const document = planDocument(planOf(), surroundings);
    expect(planSchema.safeParse(document).error).toBe(undefined);
    expect(document).toMatchObject({
      from: '0.1.0',
      to: '0.3.0',
      restarts: ['api'],
      backup: { sources: ['data'], estimatedBytes: 2048 },
      ladders: [{ name: 'main', height: 23 }],
      findings: [],
      transitions: [
        {
          from: '0.1.0',
          to: '0.2.0',
          breaking: false,
          steps: [
            { kind: 'sql', reversible: true, requiresRestart: [], estimatedDurationSeconds: null },
            { requiresRestart: ['api'], estimatedDurationSeconds: 1.5 },
          ],
        },
        { description: 'Mail' },
      ],
    });
  });

  test('"*" restarts all services, and a downgrade tells its hops downwards', () => {
    const all = [transition('0.1.0', '0.2.0', { steps: [step('v0.1.0_to_v0.2.0/001_x', { requiresRestart: ['*'] })] })];
    const document = planDocument(
      planOf({ ...down, transitions: all, installed: parseVersion('0.2.0'), committedPath: ['v0.1.0_to_v0.2.0'] }),
      surroundings,
    );
    expect(document).toMatchObject({ restarts: ['web', 'api'], transitions: [{ from: '0.2.0', to: '0.1.0' }] });
  });

  test('the graph shows the chosen path, stops, blocked edges and what they forbid', () => {
    const graph = [
      transition('0.1.0', '0.2.0', { stop: true }),
      transition('0.2.0', '0.3.0'),
      transition('0.1.0', '0.3.0'),
      transition('0.3.0', '0.4.0', { blocked: 'loses "mail"' }),
    ];
    expect(mermaidOf(graph, planOf({ transitions: graph, to: parseVersion('0.3.0') }))).toEqual([
      'graph LR',
      '  v0["0.1.0"]',
      '  v1{{"0.2.0 (stop)"}}',
      '  v2["0.3.0"]',
      '  v3["0.4.0"]',
      '  v0 ==> v1',
      '  v0 -. "not over the stop 0.2.0" .-> v2',
      '  v1 ==> v2',
      '  v2 -. "blocked: loses #quot;mail#quot;" .-x v3',
      '  linkStyle 0 stroke:#2a7,stroke-width:3px',
      '  linkStyle 2 stroke:#2a7,stroke-width:3px',
      '  style v0 stroke:#2a7,stroke-width:3px',
      '  style v2 stroke:#2a7,stroke-width:3px',
    ]);
  });
});

test('what remains of a plan: what to apply in order, what to undo in reverse, what is in doubt', () => {
  const ids = ['v0.1.0_to_v0.2.0/001_x', 'v0.1.0_to_v0.2.0/002_y', 'v0.2.0_to_v0.3.0/001_x'];
  const statuses: readonly StepStatus[] = ['applied', 'running', 'reverted'];
  const records = ids.map((stepId, position) => ({
    stepId,
    position,
    status: statuses[position] ?? 'pending',
    attempts: 1,
    startedAt: null,
    durationMs: null,
    failure: null,
  }));
  const remaining = remainingOf(planOf(), records);
  expect(Object.fromEntries(Object.entries(remaining).map(([key, steps]) => [key, steps.map(({ id }: Step) => id)]))).toEqual({
    toApply: [ids[1], ids[2], 'v0.2.0_to_v0.3.0/002_y'],
    inDoubt: [ids[1]],
    toRevert: [ids[1], ids[0]],
    applied: [ids[0]],
  });
});
