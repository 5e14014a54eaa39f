// The flags of commands, and how those given before and after the command's name come together.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { fail } from '../model/failure.ts';
import { parseDuration } from '../model/units.ts';

export interface CommonFlags {
  readonly config?: string;
  readonly root?: string;
  readonly json?: boolean;
  readonly events?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  /** `--no-color` makes it false. */
  readonly color?: boolean;
}

export interface RunFlags extends CommonFlags {
  readonly from?: string;
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly allowDowngrade?: boolean;
  readonly planHash?: string;
  readonly outOfOrder?: boolean;
  readonly acceptChecksum?: readonly string[];
  readonly detach?: boolean;
  /** Given by `--detach` to the process that it starts. */
  readonly handedOver?: string;
}

export function withCommonFlags(self: Command, version: string): Command {
  return self
    .option('-c, --config <file>', 'the config (default: the nearest upgrade.yaml, walking up)')
    .option('--root <dir>', 'the installation root, in place of the one in the config')
    .option('--json', 'one JSON document on stdout and nothing else there')
    .option('--events', 'events as JSON lines on stdout while running, the result last')
    .option('-q, --quiet', 'only what matters')
    .option('-v, --verbose', 'also the steps’ output and stack traces')
    .option('--no-color', 'no colours')
    .version(version, '--version', 'print the version of Rungs');
}

export function withPath(self: Command): Command {
  return self
    .option('--from <version>', 'must be the installed version (default: it)')
    .option('--to <version>', 'the target (default: the highest that the migrations reach)');
}

export function withRunFlags(self: Command): Command {
  return self
    .option('--dry-run', 'plan and preflight; writes nothing')
    .option('-y, --yes', 'do not ask')
    .option('--allow-downgrade', 'allow a target below the installed version')
    .option('--plan-hash <hash>', 'refuse if the plan is another than this');
}

export function withLadderFlags(self: Command): Command {
  return self
    .option('--out-of-order', 'also run steps of ladders below the height that were never applied')
    .option('--accept-checksum <step...>', 'take an applied step of a ladder that was edited as it is now; recorded');
}

export function choice(flags: string, description: string, values: readonly string[]): Option {
  return new Option(flags, description).choices(values);
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It has to be a whole number.');
  return Number(text);
}

/** When a token ends, as ISO 8601: `30d`, `12h`, or a day. */
export function expiry(text: string): string {
  const [, days] = /^(\d{1,5})d$/.exec(text) ?? [];
  const ms = days === undefined ? parseDuration(text) : Number(days) * 86_400_000;
  const at = ms === null ? Date.parse(text) : Date.now() + ms;
  if (Number.isNaN(at) || at <= Date.now()) throw new InvalidArgumentError('It has to be a time to come: 30d, 12h, or 2027-01-31.');
  return new Date(at).toISOString();
}

/** What stands nearer to the command's end wins. Throws USAGE for a flag before the command's name that the command does not have: it would be left unheard. */
export function flagsOf<T extends CommonFlags>(self: Command): T {
  const merged: Record<string, unknown> = {};
  const line = [self];
  for (let above = self.parent; above !== null; above = above.parent) line.unshift(above);
  for (const command of line) {
    for (const option of command.options) {
      const name = option.attributeName();
      const isGiven = command.getOptionValueSource(name) === 'cli';
      if (isGiven && command !== self && !self.options.some((own) => own.attributeName() === name)) {
        throw fail('FLAG_MISPLACED', { flag: option.long ?? option.flags, command: nameOf(self) });
      }
      if (isGiven || !(name in merged)) merged[name] = command.getOptionValue(name);
    }
  }
  // Parsed by the options above, whose names and kinds are those of the type.
  return merged as unknown as T;
}

/** `upgrade backup list` */
export function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}
