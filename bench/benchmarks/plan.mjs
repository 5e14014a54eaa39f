// Planning 2,000 transitions with 10,000 steps: the pure function alone, and the whole command, which also reads and hashes 10,000 files.
import { createHash } from 'node:crypto';
import * as commands from '../lib/commands.mjs';
import * as fixtures from '../lib/fixtures.mjs';
import { median, takeTurns } from '../lib/measure.mjs';
import { printBound, printTable } from '../lib/report.mjs';

const size = { transitions: 2000, steps: 5 };

export async function run({ rounds }) {
  const pure = await pureFunction(rounds);
  const results = await takeTurns(
    [
      { name: 'rungs plan', prepare: (dir) => fixtures.manyTransitions(dir, size), command: () => commands.upgrade('plan') },
      {
        name: 'rungs plan --json',
        prepare: (dir) => fixtures.manyTransitions(dir, size),
        command: () => commands.upgrade('plan', '--json'),
      },
    ],
    { rounds },
  );
  results.set('the pure function', pure);
  printTable(`plan-2000: ${size.transitions} transitions, ${size.transitions * size.steps} steps`, results, { against: 'rungs plan' });
  printBound('the pure function', pure.ms / 1000, 1, ' s');
  printBound('the whole command', results.get('rungs plan').ms / 1000, 1, ' s');
}

async function pureFunction(rounds) {
  const { makePlan } = await import('../../src/plan/make-plan.ts');
  const transitions = Array.from({ length: size.transitions }, (_, n) => transition(n));
  const all = [];
  for (let round = 0; round <= rounds; round++) {
    const startedAt = performance.now();
    const made = makePlan({
      product: 'bench',
      transitions,
      installed: '0.1.0',
      from: undefined,
      to: undefined,
      sha256: (text) => createHash('sha256').update(text).digest('hex'),
    });
    if (made.kind !== 'plan' || made.plan.transitions.length !== size.transitions) throw new Error('no plan was made');
    if (round > 0) all.push(performance.now() - startedAt);
  }
  return { ms: median(all), megabytes: Number.NaN, all };
}

function transition(n) {
  const id = `v0.1.${n}_to_v0.1.${n + 1}`;
  const steps = Array.from({ length: size.steps }, (_, at) => ({
    id: `${id}/${String(at + 1).padStart(3, '0')}_item`,
    number: at + 1,
    name: 'item',
    kind: 'sql',
    forwardFile: `${String(at + 1).padStart(3, '0')}_item.sql`,
    backwardFile: null,
    sha256: String(n * size.steps + at).padStart(64, '0'),
    description: 'item',
    requiresRestart: [],
    breaking: false,
    estimatedDurationMs: null,
    timeoutMs: null,
    idempotent: false,
    database: 'app',
    transaction: true,
    backup: [],
    memoryBytes: null,
    hasCheck: false,
    hasBackward: true,
    isDatabaseOnly: false,
    isReversible: true,
  }));
  return {
    id,
    from: `0.1.${n}`,
    to: `0.1.${n + 1}`,
    dir: `/migrations/${id}`,
    description: '',
    breaking: false,
    stop: false,
    blocked: null,
    requires: { diskBytes: null, memoryBytes: null, commands: [], services: [], env: [] },
    images: {},
    ladders: {},
    files: steps.map(({ forwardFile, sha256 }) => ({ path: forwardFile, sha256 })),
    steps,
  };
}
