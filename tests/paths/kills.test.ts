// kill -9 of the orchestrator, of the step host, and of both, at every event of a run, of a rollback and of a resume. Afterwards `resume` and `rollback`
// each end in exactly the new or exactly the old state; a kill of those too. CI takes every event of a run; RUNGS_TEST_LEVEL=full every event for each of them.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { differencesBetween } from '../../examples/demo/snapshot.ts';
import { level } from '../support/level.ts';
import { fixtures, makeTiny, processesIn, until, type Ended, type State, type Tiny } from '../integration/pipeline/installation.ts';

type Target = 'orchestrator' | 'host' | 'both';
type Action = 'run' | 'resume' | 'rollback';

interface Kill {
  readonly action: Action;
  readonly target: Target;
  /** See kill-at.mjs. */
  readonly key: string;
}

interface Scenario {
  readonly kills: readonly Kill[];
  /** The last step fails, so that the run rolls back by itself. */
  readonly isBroken: boolean;
  readonly end: 'resume' | 'rollback';
}

const isFull = level === 'full';
const killer = path.join(fixtures, 'programs/kill-at.mjs');
const oldState = await stateAfter([]);
const newState = await stateAfter(['run']);
const keysOfRun = await keysOf({ kills: [], isBroken: false, last: 'run' });
const keysOfBroken = await keysOf({ kills: [], isBroken: true, last: 'run' });
const keysOfItsRollback = keysOfBroken.slice(keysOfBroken.findIndex((key) => key.startsWith('rollback-started')));

// Killed here, nobody knows what became of a step that cannot be run again: its outcome is recorded with the intent of the next one. And before a run is
// recorded there is nothing to resume.
const keysInDoubt = new Set([
  ...keysOfRun.slice(0, keysOfRun.indexOf('phase-started backup#1')),
  ...['v1.0.0_to_v1.1.0/003_settings', 'v1.1.0_to_v2.0.0/003_release'].flatMap((step) => {
    const finished = keysOfRun.indexOf(`step-finished apply ${step}#1`);
    const next = keysOfRun.findIndex((key, index) => index > finished && /^(?:step-started|phase-finished)/.test(key));
    return keysOfRun.slice(keysOfRun.indexOf(`step-started apply ${step}#1`), next + 1);
  }),
]);

test('the run and its rollback have the events that are killed at', () => {
  expect(keysOfRun.length).toBeGreaterThan(40);
  expect(keysOfItsRollback.length).toBeGreaterThan(15);
  expect(newState.answer).toContain('"release":2');
});

describe.concurrent('the orchestrator is killed at an event of a run', () => {
  for (const [index, key] of (level === 'quick' ? spread(keysOfRun, 2, 0) : keysOfRun).entries()) {
    for (const end of isFull ? (['resume', 'rollback'] as const) : [index % 3 === 2 ? ('rollback' as const) : ('resume' as const)]) {
      scenario({ kills: [{ action: 'run', target: 'orchestrator', key }], isBroken: false, end });
    }
  }
});

describe.concurrent('the step host, or both, are killed at an event of a run', () => {
  for (const target of ['host', 'both'] as const) {
    for (const key of spread(
      keysOfRun.filter((each) => /step-|transition-|phase-\w+ (?:orchestration|restart|commit)/.test(each)),
      3,
      target === 'host' ? 0 : 1,
    )) {
      scenario({ kills: [{ action: 'run', target, key }], isBroken: false, end: 'resume' });
    }
  }
});

describe.concurrent('the orchestrator is killed at an event of the rollback of a failed run', () => {
  for (const [index, key] of keysOfItsRollback.entries()) {
    scenario({ kills: [{ action: 'run', target: 'orchestrator', key }], isBroken: true, end: index % 2 === 0 ? 'resume' : 'rollback' });
  }
});

describe.concurrent('the step host, or both, are killed at an event of the rollback of a failed run', () => {
  for (const target of ['host', 'both'] as const) {
    for (const key of spread(
      keysOfItsRollback.filter((each) => each.startsWith('step-')),
      3,
      target === 'host' ? 0 : 1,
    )) {
      scenario({ kills: [{ action: 'run', target, key }], isBroken: true, end: 'resume' });
    }
  }
});

// Where the first kill hits: before anything, in a step that can be taken up again, in one that cannot, after all steps, after the version was written.
const firstKills = [
  'phase-started discovery#1',
  'step-progress v1.1.0_to_v2.0.0/001_batches#1',
  'step-output v1.1.0_to_v2.0.0/003_release#1',
  'service waiting app#1',
  'version-written#1',
];
for (const [number, first] of firstKills.entries()) {
  for (const action of ['resume', 'rollback'] as const) {
    const before: Kill = { action: 'run', target: number % 2 === 0 ? 'orchestrator' : 'both', key: first };
    const keys = await keysOf({ kills: [before], isBroken: false, last: action });
    describe.concurrent(`killed at "${first}", and then ${action} is killed`, () => {
      for (const [index, key] of spread(keys, level === 'quick' ? 16 : 8, number).entries()) {
        const second: Kill = { action, target: index % 2 === 0 ? 'orchestrator' : 'both', key };
        const third: Kill = {
          action: index % 2 === 0 ? action : 'rollback',
          target: 'orchestrator',
          key: keys[(index * 7 + 3) % keys.length] ?? key,
        };
        scenario({ kills: [before, second], isBroken: false, end: index % 3 === 2 ? 'rollback' : 'resume' });
        if (isFull || index === 0) scenario({ kills: [before, second, third], isBroken: false, end: 'resume' });
      }
    });
  }
}

/** Every one in a full run, else each `step`th, and the last. */
function spread(keys: readonly string[], step: number, from: number): readonly string[] {
  return isFull ? keys : keys.filter((_, index) => index % step === from % step || index === keys.length - 1);
}

function scenario(given: Scenario): void {
  const { kills, isBroken, end } = given;
  const [first] = kills;
  const told = kills.map(({ action, target, key }) => `${action}: ${target} at ${key}`).join('; ');
  test(`${told}; then ${end}`, async () => {
    const tiny = await prepared(isBroken);
    try {
      const endings: Ended[] = [];
      for (const each of kills) endings.push(await killed(tiny, each));
      const ending = await finish(tiny, end, endings.at(-1));
      const story = [...endings, ending].map(({ code, signal, stdout, stderr }) => `${code ?? signal}\n${stdout}${stderr}`).join('\n---\n');
      const isNew = await expectWhole(tiny, story);
      // How many steps of progress are told depends on the machine's speed; everything else is reached.
      if (first?.target !== 'host' && first?.key.startsWith('step-progress') !== true) expect(endings[0]?.signal, story).toBe('SIGKILL');
      if (ending.code === 0) expect(isNew, story).toBe(true);
      else if (ending.code === 10) expect(isNew, story).toBe(false);
      else expect(ending.stdout + ending.stderr, story).toContain('NO_UNFINISHED_RUN');
      if (isBroken) expect(isNew, story).toBe(false);
      // Where nothing was in doubt it must have gone on, not back.
      const isInDoubt = first === undefined || first.target !== 'orchestrator' || keysInDoubt.has(first.key);
      if (!isBroken && !isInDoubt && kills.length === 1 && end === 'resume') expect(isNew, story).toBe(true);
    } finally {
      await tiny.remove();
    }
  });
}

async function prepared(isBroken: boolean): Promise<Tiny> {
  const tiny = makeTiny();
  if (isBroken) {
    tiny.step(
      'v1.1.0_to_v2.0.0/004_break.ts',
      `export default {
        forward: async ({ files, sqlite, root, checkpoint }) => {
          await files.write('config/app.yaml', 'broken');
          const { chmodSync, rmSync, writeFileSync } = await import('node:fs');
          chmodSync(root + '/data/files', 0o700);
          rmSync(root + '/data/dangling');
          writeFileSync(root + '/data/too-many', 'x');
          await sqlite('app').run('DELETE FROM items WHERE id > 25');
          await checkpoint.save(1);
          throw new Error('half-way');
        },
      };`,
    );
  }
  await tiny.start();
  return tiny;
}

/** Once more for as long as a step that outlived its orchestrator holds the lock. */
async function killed(tiny: Tiny, { action, target, key }: Kill): Promise<Ended> {
  return whenFree(() => tiny.node([killer, tiny.configFile, action, target, key]));
}

async function finish(tiny: Tiny, end: 'resume' | 'rollback', last: Ended | undefined): Promise<Ended> {
  // A dead step host fails its step, and the orchestrator goes on to the end by itself.
  if (last?.signal === null && (last.code === 0 || last.code === 10)) return last;
  return whenFree(() => tiny.upgrade([end]));
}

async function whenFree(work: () => Promise<Ended>): Promise<Ended> {
  let ended: Ended | null = null;
  await until('the lock is free', async () => {
    ended = await work();
    return ended.code !== 75;
  });
  if (ended === null) throw new Error('it never ended');
  return ended;
}

/** Exactly the old or exactly the new state, and no trace of an unfinished run. Gives whether it is the new one. */
async function expectWhole(tiny: Tiny, story: string): Promise<boolean> {
  const now = await tiny.look();
  const isNew = now.version === newState.version;
  const wanted = isNew ? newState : oldState;
  expect(now.version, story).toBe(wanted.version);
  expect(differencesBetween(wanted.tree, now.tree), story).toEqual([]);
  expect(now.rows, story).toBe(wanted.rows);
  expect(now.answer, story).toBe(wanted.answer);
  expect(unfinishedRuns(tiny), story).toEqual([]);
  expect(processesIn(tiny.dir).length, `one daemon and nothing else runs\n${story}`).toBe(1);
  return isNew;
}

function unfinishedRuns(tiny: Tiny): readonly unknown[] {
  if (!readdirSync(tiny.root).includes('.upgrade')) return [];
  const file = path.join(tiny.state, 'journal.db');
  if (!readdirSync(tiny.state).includes('journal.db')) return [];
  const journal = new DatabaseSync(file, { readOnly: true });
  try {
    return journal.prepare("SELECT id, phase, outcome FROM runs WHERE outcome IS NULL OR outcome = 'stranded'").all();
  } finally {
    journal.close();
  }
}

async function stateAfter(actions: readonly Action[]): Promise<State> {
  const tiny = await prepared(false);
  try {
    for (const action of actions) await tiny.node([killer, tiny.configFile, action]);
    return await tiny.look();
  } finally {
    await tiny.remove();
  }
}

/** Of the events of the last action, after the kills. */
async function keysOf({
  kills,
  isBroken,
  last,
}: {
  readonly kills: readonly Kill[];
  readonly isBroken: boolean;
  readonly last: Action;
}): Promise<readonly string[]> {
  const tiny = await prepared(isBroken);
  try {
    for (const each of kills) await killed(tiny, each);
    const { stdout } = await whenFree(() => tiny.node([killer, tiny.configFile, last]));
    return stdout.trim().split('\n');
  } finally {
    await tiny.remove();
  }
}
