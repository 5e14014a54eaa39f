// The runs that are killed: which installation, what is done with it, and where.
import { level } from '../../support/level.ts';
import type { Look, Template } from './home.ts';
import * as trees from './trees.ts';

export type Target = 'orchestrator' | 'host' | 'both';
export type End = 'resume' | 'rollback';

/** At an event that is told, or at a statement that the server hears. */
export type Kill =
  | { readonly at: 'event'; readonly target: Target; readonly key: string }
  | { readonly at: 'statement'; readonly target: 'orchestrator' | 'both'; readonly key: string; readonly when: 'before' | 'after' };

export interface Story {
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
export const none = (): readonly string[] => [];
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
export const isOfInterest = (key: string): boolean =>
  !/^[\w ]*: (?:SELECT|SET|SHOW|WITH|RESET|LOCK)\b/.test(key) || (level === 'full' && key.endsWith('#1'));

export const stories: readonly Story[] = [
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
  {
    name: 'a redo that fails, and has lost rows on its way down',
    tree: trees.redoBroken,
    action: 'redo',
    events: from('rollback-started'),
    statements: matching(ofBoth),
    isBroken: true,
  },
  {
    name: 'fresh installations that fail',
    tree: trees.freshBroken,
    action: 'up',
    events: from('rollback-started'),
    statements: matching(ofRestore),
    isBroken: true,
  },
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

export interface Facts {
  readonly template: Template;
  readonly old: Look;
  readonly new: Look | null;
  readonly stops: readonly Look[];
  readonly events: readonly string[];
  readonly statements: readonly string[];
}
