// Who is killed where, and how the run is ended afterwards: everything in a full run, else a spread that lies far apart.
import { countFor, level } from '../../support/level.ts';
import type { End, Facts, Kill, Story } from './stories.ts';

export interface Again {
  readonly action: End;
  readonly kill: Kill;
}

export interface Case {
  readonly kill: Kill;
  readonly again?: Again;
  readonly end: End;
}

export function toldOf({ kill, again, end }: Case): string {
  const of = ({ at, target, key, ...rest }: Kill): string =>
    `${target} killed ${at === 'event' ? 'at' : 'when' in rest ? rest.when : ''} "${key}"`;
  return [of(kill), ...(again === undefined ? [] : [`its ${again.action}: ${of(again.kill)}`]), end].join('; then ');
}

export function casesOf(story: Story, facts: Facts, number: number): readonly Case[] {
  const events = story.events(facts.events);
  const statements = story.statements(facts.statements);
  const isFull = level === 'full';
  const ends = (index: number): readonly End[] => (isFull ? ['resume', 'rollback'] : [index % 2 === 0 ? 'resume' : 'rollback']);
  const atEvents = spread(events, countFor({ quick: 1, ci: 4 }), number).flatMap((key, index) =>
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
    spread(statements, countFor({ quick: 1, ci: 3 }), number * 3 + 1).map((key, index): Case => {
      const when = given ?? (index % 2 === 0 ? 'after' : 'before');
      return {
        kill: { at: 'statement', target: index % 3 === 2 ? 'both' : 'orchestrator', key, when },
        end: index % 4 === 3 ? 'rollback' : 'resume',
      };
    }),
  );
  // The new database has its name, and nobody has looked at it yet.
  const atLastRename = statements.findLast((key) => key.includes('RENAME TO'));
  const delicate: readonly Case[] =
    atLastRename === undefined || isFull
      ? []
      : [
          {
            kill: { at: 'statement', target: 'orchestrator', key: atLastRename, when: 'after' },
            end: number % 2 === 0 ? 'resume' : 'rollback',
          },
        ];
  return [
    ...atEvents,
    ...ofHosts,
    ...atStatements,
    ...delicate.filter(({ kill }) => !atStatements.some((each) => each.kill.key === kill.key)),
  ];
}

// Events that every rollback has, whatever it undoes.
const ofRollbacks = ['phase-started rollback#1', 'rollback-started#1', 'rollback-proven#1', 'phase-finished rollback#1', 'run-finished#1'];

/** Killed twice: a rollback and the resume that goes on with it, or a run and the rollback that somebody asks for. */
export function pairsOf(story: Story, facts: Facts, number: number): readonly (Case & { readonly again: Again })[] {
  const statements = story.statements(facts.statements);
  if (story.isBroken === true) {
    return spread(statements, countFor({ quick: 0, ci: 2 }), number).map((key, index) => {
      const second = statements[(index * 7 + 3) % statements.length] ?? key;
      const [target, when] = index % 2 === 0 ? (['orchestrator', 'after'] as const) : (['both', 'before'] as const);
      return {
        kill: { at: 'statement', target: 'orchestrator', key, when: 'before' },
        again: { action: 'resume', kill: { at: 'statement', target, key: second, when } },
        end: 'resume',
      };
    });
  }
  const events = story.events(facts.events).filter((key) => /^(?:step-|phase-finished)/.test(key));
  return spread(events, countFor({ quick: 0, ci: 1 }), number).map((key, index) => {
    const second = ofRollbacks[(index + number) % ofRollbacks.length] ?? '';
    return {
      kill: { at: 'event', target: 'both', key },
      again: { action: 'rollback', kill: { at: 'event', target: 'orchestrator', key: second } },
      end: index % 2 === 0 ? 'resume' : 'rollback',
    };
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
