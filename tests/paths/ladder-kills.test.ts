// kill -9 at every event, and at every statement that a PostgreSQL server hears, of runs with ladders: of upgrades, climbs up and down, groups, fresh
// installations, ladders that keep what is done, and the rollbacks of all of them. Afterwards `resume` and `rollback` each end in exactly the new or exactly
// the old state (or, where a ladder keeps, in exactly a height of it), nothing lies beside the databases, and everybody may connect.
// A spread of all that by default and in CI; RUNGS_TEST_LEVEL=full takes every one with either end.
import { afterAll, describe, expect } from 'vitest';
import { differencesBetween } from '../../examples/demo/snapshot.ts';
import type { Ended } from '../integration/pipeline/installation.ts';
import { programs, startPostgres, testWithPostgres as test, type TestPostgres } from '../support/postgres.ts';
import { casesOf, pairsOf, toldOf, type Case } from './ladders/cases.ts';
import { makeTemplate, type Home, type Look, type Standing, type Template } from './ladders/home.ts';
import { isOfInterest, none, stories, type Facts, type Kill, type Story } from './ladders/stories.ts';

const server: TestPostgres | null = programs() === null ? null : await startPostgres();
const templates: Template[] = [];
afterAll(() => {
  for (const template of templates) template.remove();
});

// Together: most of their time they wait.
const known = await Promise.all(stories.map(async (story) => (server === null ? null : factsOf(server, story)))).catch((error: unknown) => {
  // No hook is run where the tests cannot be told.
  server?.stop();
  throw error;
});

for (const [number, story] of stories.entries()) {
  const facts = known[number] ?? null;
  describe.concurrent(story.name, () => {
    if (facts === null) return test('needs a server', () => undefined);
    test('has events, and an end', () => {
      expect(story.events(facts.events).length).toBeGreaterThan(4);
      expect(story.statements(facts.statements).length > 0).toBe(story.statements !== none);
    });
    for (const each of [...casesOf(story, facts, number), ...pairsOf(story, facts, number)]) {
      test(toldOf(each), async () => check(story, facts, each));
    }
  });
}

async function factsOf(postgres: TestPostgres, story: Story): Promise<Facts> {
  const template = await makeTemplate(postgres, story.tree);
  templates.push(template);
  const looking = async (
    work: (home: Home) => Promise<Ended | null>,
    codes: readonly (number | null)[],
  ): Promise<readonly [Look, Ended | null, Home]> => {
    const home = await template.copy();
    try {
      const ended = await work(home);
      if (ended !== null && !codes.includes(ended.code)) throw new Error(`${story.name}: ${ended.code} ${ended.stdout} ${ended.stderr}`);
      return [await home.look(), ended, home];
    } finally {
      await home.remove();
    }
  };
  const [old] = await looking(async () => null, []);
  const [after, ended, { proxy }] = await looking(
    async (home) => home.killAt([story.action]),
    [story.isBroken === true ? 10 : story.stops === undefined ? 0 : 11],
  );
  if (story.isBroken === true) expectSame(old, after, story.name);
  const mended = async (home: Home): Promise<Ended> => {
    home.mend();
    return home.killAt([story.action]);
  };
  const stops: Look[] = [];
  for (const height of story.stops ?? []) stops.push((await looking(async (home) => home.upgrade('up', String(height)), [0]))[0]);
  if (stops.length > 0) expectSame(stops.at(-1) ?? old, after, story.name);
  return {
    template,
    old,
    new: story.isBroken === true ? null : story.stops === undefined ? after : (await looking(mended, [0]))[0],
    stops,
    events: ended?.stdout.trim().split('\n') ?? [],
    statements: proxy.keys.filter(isOfInterest),
  };
}

async function check(story: Story, facts: Facts, { kill, again, end }: Case): Promise<void> {
  const home = await facts.template.copy();
  const endings: Ended[] = [];
  try {
    endings.push(await killed(home, story.action, kill));
    if (again !== undefined) endings.push(await killed(home, again.action, again.kill));
    // Somebody has mended the cause meanwhile.
    if (end === 'resume' && kill.key.length % 2 === 0) home.mend();
    const last = endings.at(-1);
    // A dead step host fails its step, and the orchestrator goes on to the end by itself.
    const isOver = last?.signal === null && [0, 10, 11].includes(last.code ?? -1);
    if (!isOver) endings.push(await home.upgrade(end, '--json'));
    const told = endings.map(({ code, signal, stdout, stderr }) => `${code ?? signal}\n${stdout}${stderr}`).join('\n---\n');
    if (kill.target !== 'host') expect(endings[0]?.signal, told).toBe('SIGKILL');
    const now = await home.look();
    expect({ run: now.run, lock: now.lock }, told).toEqual({ run: null, lock: null });
    expect(await home.beside(), told).toEqual([]);
    const wanted = wantedState(story, facts, { now, code: endings.at(-1)?.code ?? null, told });
    expectSame(wanted, now, told);
    if (story.stops !== undefined) expectOnce(home, facts, kill, told);
    // Where nothing was in doubt it must have gone on, not back.
    if (
      end === 'resume' &&
      kill.target === 'orchestrator' &&
      facts.new !== null &&
      story.stops === undefined &&
      !isInDoubt(story, facts, kill)
    )
      expect(wanted, told).toBe(facts.new);
    expect(now.state, told).not.toBe('unfinished');
  } finally {
    await home.remove();
  }
}

/** Which of the states that are right it has to be, by what the last command said. */
function wantedState(
  story: Story,
  facts: Facts,
  { now, code, told }: { readonly now: Look & Standing; readonly code: number | null; readonly told: string },
): Look {
  const { old, new: next, stops } = facts;
  switch (code) {
    case 0:
      expect(next, told).not.toBeNull();
      return next ?? old;
    case 10:
      // A ladder that keeps goes back only where nothing of it was begun.
      return old;
    case 11: {
      expect(stops.length, told).toBeGreaterThan(0);
      const states = [old, ...stops, ...(next === null ? [] : [next])];
      const found = states.find(({ heights }) => JSON.stringify(heights) === JSON.stringify(now.heights));
      expect(found, `a height at which nothing stops: ${JSON.stringify(now.heights)}\n${told}`).toBeDefined();
      return found ?? old;
    }
    default: {
      expect(told).toContain('NO_UNFINISHED_RUN');
      // It was over when it was killed, or had not begun.
      const states = [old, ...stops, ...(next === null ? [] : [next])];
      const found = states.find(
        ({ heights, version }) => JSON.stringify([heights, version]) === JSON.stringify([now.heights, now.version]),
      );
      return found ?? old;
    }
  }
}

/** Of scripts whose outcome was recorded none has run again; the one in flight may have. */
function expectOnce(home: Home, { events }: Facts, { key }: Kill, told: string): void {
  const at = events.indexOf(key);
  const before = at < 0 ? [] : events.slice(0, at + 1);
  const inFlight = before.findLast((each) => each.startsWith('step-started apply')) ?? '';
  const words: Readonly<Record<string, RegExp>> = { one: /0000001#/, two: /00000002#|002_two#/, four: /00000004#/ };
  const counts = Map.groupBy(home.log(), (word) => word);
  for (const [word, step] of Object.entries(words)) {
    const most = step.test(inFlight) || at < 0 ? 2 : 1;
    expect(counts.get(word)?.length ?? 0, `${word} ran too often\n${told}`).toBeLessThanOrEqual(most);
  }
}

/** Its outcome is recorded with the intent of the next one; and before a run is recorded there is nothing to resume. */
function isInDoubt({ cannotRepeat }: Story, { events, statements }: Facts, kill: Kill): boolean {
  if (kill.at === 'statement') return cannotRepeat !== undefined || !statements.includes(kill.key);
  const before = events.slice(0, events.indexOf(kill.key) + 1);
  if (!before.includes('phase-started backup#1')) return true;
  if (cannotRepeat === undefined) return false;
  const inFlight = before.findLast((key) => key.startsWith('step-started apply')) ?? '';
  const isRecorded = before.includes('phase-finished orchestration#1');
  return cannotRepeat.test(inFlight) && !isRecorded;
}

async function killed(home: Home, action: string, kill: Kill): Promise<Ended> {
  if (kill.at === 'event') return home.killAt([action, kill.target, kill.key]);
  let pid = 0;
  home.proxy.arm({
    key: kill.key,
    when: kill.when,
    kill: () => (kill.target === 'both' ? home.killAll() : process.kill(pid, 'SIGKILL')),
  });
  return home.killAt([action], (spawned) => void (pid = spawned));
}

function expectSame(wanted: Look, now: Look, told: string): void {
  expect(differencesBetween(wanted.tree, now.tree), told).toEqual([]);
  const { version, sqlite, postgres, heights } = now;
  expect({ version, sqlite, postgres, heights }, told).toEqual({
    version: wanted.version,
    sqlite: wanted.sqlite,
    postgres: wanted.postgres,
    heights: wanted.heights,
  });
}
