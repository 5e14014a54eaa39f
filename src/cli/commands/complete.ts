// `upgrade __complete -- WORD… CURRENT`: what may stand in the place of the last word, as `word<Tab>what it is`. For the shells' completion; whatever is wrong, it
// says nothing and leaves with 0.
import type { Command, Option } from 'commander';
import type { KnownWord, KnownWords } from '../../session/known-words.ts';
import type { CommonFlags } from '../flags.ts';
import { openManager } from '../manager.ts';
import type { Terminal } from '../terminal.ts';

const files = ':files';

/** What a flag takes, where its choices are not among its own. */
const ofFlag: Readonly<Record<string, KnownWords | typeof files>> = {
  '--from': 'versions',
  '--to': 'versions',
  '--ladder': 'ladders',
  '--step': 'steps',
  '--config': files,
  '--root': files,
  '--junit': files,
};
/** What a command takes, place by place; the last stands for all that follow. */
const ofCommand: Readonly<Record<string, readonly (KnownWords | typeof files | 'codes' | readonly string[])[]>> = {
  history: ['runs'],
  follow: ['runs'],
  logs: ['runs'],
  'backup verify': ['backups'],
  'backup restore': ['backups', files],
  'backup export': ['backups', files],
  new: ['versions'],
  explain: ['codes'],
  completion: [['bash', 'zsh', 'fish']],
};

export async function complete(given: readonly string[], program: Command, terminal: Terminal): Promise<number> {
  const words = given.slice(0, -1);
  const current = given.at(-1) ?? '';
  try {
    const found = await candidates(words, current, program, terminal);
    const lines =
      found === files ? [files] : found.filter(({ word }) => word.startsWith(current)).map(({ word, about }) => `${word}\t${about}`);
    terminal.out(lines.map((line) => `${line.replace(/\n/g, ' ')}\n`).join(''));
  } catch {
    // A line that is being written may be wrong in any way.
  }
  return 0;
}

async function candidates(
  words: readonly string[],
  current: string,
  program: Command,
  terminal: Terminal,
): Promise<readonly KnownWord[] | typeof files> {
  let command = program;
  let open: Option | null = null;
  const operands: string[] = [];
  const flags: { config?: string; root?: string } = {};
  for (const word of words) {
    if (open !== null) {
      if (open.long === '--config') flags.config = word;
      if (open.long === '--root') flags.root = word;
      open = null;
    } else if (word.startsWith('-')) {
      const option = optionOf(command, word);
      open = option !== null && takesValue(option) && !word.includes('=') ? option : null;
    } else {
      const next = operands.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
      if (next === undefined) operands.push(word);
      else command = next;
    }
  }
  if (open !== null) {
    const kind = ofFlag[open.long ?? ''];
    if (open.argChoices !== undefined) return open.argChoices.map(plain);
    return kind === undefined ? [] : kind === files ? files : known(kind, flags, terminal);
  }
  if (current.startsWith('-')) return optionsOf(command).map(({ long, description }) => ({ word: long ?? '', about: description }));
  const names = command.createHelp().visibleCommands(command);
  if (names.length > 0 && operands.length === 0) return names.map((one) => ({ word: one.name(), about: one.description() }));
  const places = ofCommand[pathOf(command)] ?? [];
  const place = places[Math.min(operands.length, places.length - 1)];
  if (place === undefined) return [];
  if (place === files) return files;
  if (place === 'codes') return codes();
  return typeof place === 'string' ? known(place, flags, terminal) : operands.length === 0 ? place.map(plain) : [];
}

async function known(kind: KnownWords, flags: CommonFlags, terminal: Terminal): Promise<readonly KnownWord[]> {
  return (await openManager(flags, terminal)).knownWords(kind);
}

async function codes(): Promise<readonly KnownWord[]> {
  const [{ readErrorPage }, { errorsPage }] = await Promise.all([import('../../report/error-page.ts'), import('../errors-page.ts')]);
  return readErrorPage(errorsPage()).map(({ code, section }) => ({ word: code, about: section }));
}

function plain(word: string): KnownWord {
  return { word, about: '' };
}

function pathOf(command: Command): string {
  const above = command.parent;
  return above === null ? '' : `${pathOf(above)} ${command.name()}`.trim();
}

function optionOf(command: Command, word: string): Option | null {
  const name = word.split('=')[0];
  return optionsOf(command).find(({ long, short }) => long === name || short === name) ?? null;
}

function optionsOf(command: Command): readonly Option[] {
  return command.createHelp().visibleOptions(command);
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}
