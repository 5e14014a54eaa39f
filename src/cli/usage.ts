// What the parser of arguments complains of, as failures that name the command, the nearest that is known, and where to look.
import type { Command, CommanderError } from 'commander';
import { fail, type UpgradeError } from '../model/failure.ts';
import { nearest } from '../model/nearest.ts';
import { nameOf } from './flags.ts';

export function usageError(error: CommanderError, command: Command): UpgradeError {
  const name = nameOf(command);
  switch (error.code) {
    case 'commander.unknownOption': {
      // Of a command that does not exist, no flag can be known.
      const [word] = command.args;
      if (command.commands.length > 0 && word !== undefined && !word.startsWith('-')) return unknownCommand(word, command);
      const flag = /'([^']*)'/.exec(error.message)?.[1] ?? '';
      const known = command.options.filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? []);
      const owner = commandWith(flag.split('=')[0] ?? flag, command);
      return fail(
        'UNKNOWN_FLAG',
        { flag, command: name, nearest: nearest(flag.replace(/=.*$/, ''), [...known, '--help']), owner },
        {},
        error,
      );
    }
    case 'commander.excessArguments':
      return fail('USAGE', { problem: `"${name}" was given ${surplus(command)} more than it takes.`, command: name }, {}, error);
    default:
      return fail('USAGE', { problem: sentence(error.message), command: name }, {}, error);
  }
}

export function unknownCommand(word: string, parent: Command): UpgradeError {
  const known = parent
    .createHelp()
    .visibleCommands(parent)
    .map((command) => command.name());
  return fail('UNKNOWN_COMMAND', {
    command: parent.parent === null ? word : `${parent.name()} ${word}`,
    nearest: nearest(word, known),
    parent: nameOf(parent),
  });
}

/** The first other command that has the flag. */
function commandWith(flag: string, self: Command): string | null {
  let top = self;
  while (top.parent !== null) top = top.parent;
  const all = (command: Command): readonly Command[] => [command, ...command.commands.flatMap(all)];
  const owner = all(top).find(
    (command) => command !== self && command.options.some(({ long, short, hidden }) => !hidden && (long === flag || short === flag)),
  );
  return owner === undefined ? null : nameOf(owner);
}

function surplus(command: Command): string {
  const extra = command.args.slice(command.registeredArguments.length);
  return extra.map((word) => `"${word}"`).join(', ');
}

function sentence(message: string): string {
  const text = message.replace(/^error: /, '').replaceAll('\n', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.?!)]$/.test(text) ? '' : '.');
}
