// kill -9 at every event, and at every statement that a PostgreSQL server hears, of runs with ladders: of upgrades, climbs up and down, groups, fresh
// installations, ladders that keep what is done, and the rollbacks of all of them. Afterwards `resume` and `rollback` each end in exactly the new or exactly
// the old state (or, where a ladder keeps, in exactly a height of it), nothing lies beside the databases, and everybody may connect.
// A spread of all that by default and in CI; RUNGS_TEST_LEVEL=full takes every one with either end.
import { afterAll, describe, expect } from 'vitest';
import { differencesBetween } from '../../examples/demo/snapshot.ts';
import { makeTemplate, type Home, type Look, type Standing, type Template } from './ladders/home.ts';
import * as trees from './ladders/trees.ts';
import type { Ended } from '../integration/pipeline/installation.ts';
import { countFor, level } from '../support/level.ts';
import { programs, startPostgres, testWithPostgres as test, type TestPostgres } from '../support/postgres.ts';

type Target = 'orchestrator' | 'host' | 'both';
type End = 'resume' | 'rollback';

/** At an event that is told, or at a statement that the server hears. */
type Kill =
  | { readonly at: 'event'; readonly target: Target; readonly key: string }
  | { readonly at: 'statement'; readonly target: 'orchestrator' | 'both'; readonly key: string; readonly when: 'before' | 'after' };

interface Story {
  readonly name: string;
  readonly tree: trees.Tree;
  /** See kill-at.mjs. */
  readonly action: string;
  /** Of all events and statements those that are killed at. */
  readonly events: (keys: readonly string[]) => readonly string[];
  readonly statements: (keys: readonly string[]) => readonly string[];
  /** Steps that may not be run again when nobody knows what became of them. */
  readonly cannotRepeat?: RegExp;
  /** The run fails by itself. */
  readonly isBroken?: boolean;
  /** Heights at which a ladder may be left, beside the ground and the top: `keep` alone. */
  readonly stops?: readonly number[];
}

const all = (keys: readonly string[]): readonly string[] => keys;
const none = (): readonly string[] => [];
const from =
  (begin: string) =>
  (keys: readonly string[]): readonly string[] =>
    keys.slice(keys.findIndex((key) => key.startsWith(begin)));
const matching =
  (pattern: RegExp) =>
  (keys: readonly string[]): readonly string[] =>
    keys.filter((key) => pattern.test(key));
// A pg_restore calls itself `rungs`.
const ofSteps = /^rungs steps: /;
const ofRestore = /^rungs(?: restore)?: /;
const ofBoth = /^rungs(?: restore| steps)?: /;
// Where something is only looked at, once for each question is enough, and in a full run alone.
const isOfInterest = (key: string): boolean => !/^[\w ]*: (?:SELECT|SET|SHOW)\b/.test(key) || (level === 'full' && key.endsWith('#1'));

const stories: readonly Story[] = [
  {
    name: 'an upgrade of files and two ladders',
    tree: trees.mixed,
    action: 'run',
    events: all,
    statements: matching(ofSteps),
    cannotRepeat: /001_m/,
  },
  {
    name: 'an upgrade that fails in its last step and whose backward lies',
    tree: trees.broken,
    action: 'run',
    events: from('rollback-started'),
    statements: matching(ofRestore),
    isBroken: true,
  },
  { name: 'an index that stops at its third script', tree: trees.kept, action: 'up', events: all, statements: none, stops: [1, 2] },
  {
    name: 'a folder of all kinds that keeps what is done',
    tree: trees.keptMixed,
    action: 'up',
    events: all,
    statements: matching(ofBoth),
    stops: [1, 2, 3, 4],
  },
  { name: 'two groups', tree: trees.grouped, action: 'up', events: all, statements: matching(ofSteps) },
  { name: 'a way down', tree: trees.climbed, action: 'down:1', events: all, statements: matching(ofSteps) },
  { name: 'a redo', tree: trees.redone, action: 'redo', events: all, statements: matching(ofSteps) },
  { name: 'fresh installations', tree: trees.fresh, action: 'up', events: all, statements: matching(ofSteps), cannotRepeat: /002_seed/ },
  {
    name: 'an upgrade whose journal lies in the database that it upgrades',
    tree: trees.journalInsideSound,
    action: 'run',
    events: all,
    statements: matching(/^rungs (?:journal|steps): /),
    cannotRepeat: /001_m/,
  },
  {
    name: 'a rollback whose journal lies in the database that it restores',
    tree: trees.journalInside,
    action: 'run',
    events: from('rollback-started'),
    statements: matching(ofRestore),
    isBroken: true,
  },
];

interface Facts {
  readonly template: Template;
  readonly old: Look;
  readonly new: Look | null;
  readonly stops: readonly Look[];
  readonly events: readonly string[];
  readonly statements: readonly string[];
}

const server: TestPostgres | null = programs() === null ? null : await startPostgres();
const templates: Template[] = [];
afterAll(() => {
  for (const template of templates) template.remove();
});

// Together: most of their time they wait.
const known = await Promise.all(stories.map(async (story) => (server === null ? null : factsOf(server, story))));

for (const [number, story] of stories.entries()) {
  const facts = known[number] ?? null;
  describe.concurrent(story.name, () => {
    if (facts === null) return test('needs a server', () => undefined);
    test('has events, and an end', () => {
      expect(story.events(facts.events).length).toBeGreaterThan(4);
      expect(story.statements(facts.statements).length > 4).toBe(story.statements !== none);
    });
    for (const { kill, end } of casesOf(story, facts, number)) {
      const told = `${kill.target} killed ${kill.at === 'event' ? 'at' : kill.when} "${kill.key}"; then ${end}`;
      test(told, async () => check(story, facts, kill, end));
    }
    for (const [first, second] of pairsOf(story, facts, number)) {
      test(`killed at "${first.key}", and its resume ${second.when} "${second.key}"; then resume`, async () =>
        check(story, facts, first, 'resume', second));
    }
  });
}

interface Case {
  readonly kill: Kill;
  readonly end: End;
}

function casesOf(story: Story, facts: Facts, number: number): readonly Case[] {
  const events = story.events(facts.events);
  const statements = story.statements(facts.statements);
  const isFull = level === 'full';
  const ends = (index: number): readonly End[] => (isFull ? ['resume', 'rollback'] : [index % 2 === 0 ? 'resume' : 'rollback']);
  const atEvents = spread(events, countFor({ quick: 1, ci: 8 }), number).flatMap((key, index) =>
    ends(index + number).map((end): Case => ({ kill: { at: 'event', target: 'orchestrator', key }, end })),
  );
  const others = events.filter((key) => /^(?:step-|transition-)/.test(key));
  const ofHosts = (['host', 'both'] as const).flatMap((target, index) =>
    spread(others, countFor({ quick: 0, ci: 1 }), number * 5 + index * 3).map((key): Case => ({
      kill: { at: 'event', target, key },
      end: (number + index) % 3 === 2 ? 'rollback' : 'resume',
    })),
  );
  const atStatements = (isFull ? (['before', 'after'] as const) : ([null] as const)).flatMap((given) =>
    spread(statements, countFor({ quick: 1, ci: 6 }), number * 3 + 1).map((key, index): Case => {
      const when = given ?? (index % 2 === 0 ? 'after' : 'before');
      return {
        kill: { at: 'statement', target: index % 3 === 2 ? 'both' : 'orchestrator', key, when },
        end: index % 4 === 3 ? 'rollback' : 'resume',
      };
    }),
  );
  return [...atEvents, ...ofHosts, ...atStatements];
}

/** A rollback that is killed, and whose resume is killed, too. */
function pairsOf(story: Story, facts: Facts, number: number): readonly (readonly [Kill, Kill & { readonly at: 'statement' }])[] {
  const statements = story.statements(facts.statements);
  if (story.isBroken !== true) return [];
  return spread(statements, countFor({ quick: 0, ci: 3 }), number).map((key, index) => {
    const second = statements[(index * 7 + 3) % statements.length] ?? key;
    return [
      { at: 'statement', target: 'orchestrator', key, when: 'before' },
      { at: 'statement', target: index % 2 === 0 ? 'orchestrator' : 'both', key: second, when: index % 2 === 0 ? 'after' : 'before' },
    ];
  });
}

/** All of them in a full run, else so many that lie far apart. */
function spread(keys: readonly string[], count: number, offset: number): readonly string[] {
  if (level === 'full' || keys.length <= count) return keys;
  return Array.from(
    { length: count },
    (_, index) => keys[(Math.floor(((index + 0.5) * keys.length) / count) + offset) % keys.length] ?? '',
  );
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

async function check(story: Story, facts: Facts, kill: Kill, end: End, second?: Kill): Promise<void> {
  const home = await facts.template.copy();
  const endings: Ended[] = [];
  try {
    endings.push(await killed(home, story.action, kill));
    if (second !== undefined && endings.at(-1)?.signal === 'SIGKILL') endings.push(await killed(home, 'resume', second));
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
