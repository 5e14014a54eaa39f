// What the names in one transition folder say. Pure: given names, gives steps in numeric order, helpers, and what is wrong.
import { failure, type Failure, type Place } from '../model/failure.ts';
import type { StepKind } from '../model/plan.ts';
import { isLeftAlone } from './folder-names.ts';

export interface NamedStep {
  readonly id: string;
  readonly number: number;
  readonly name: string;
  readonly kind: StepKind;
  readonly forwardFile: string;
  readonly backwardFile: string | null;
}

export interface NamedFolder {
  readonly steps: readonly NamedStep[];
  readonly problems: readonly Failure[];
}

const kinds: Readonly<Record<string, StepKind>> = { ts: 'ts', js: 'js', mjs: 'js', sql: 'sql', sh: 'sh', py: 'py' };
const stepFile = /^(\d{3,})_([a-z0-9_-]+)(\.up|\.down)?\.(ts|js|mjs|sql|sh|py)$/;

/** `names` are those of plain files; the folder's other entries are judged by whoever read it. */
export function readStepNames(transition: string, names: readonly string[], placeOf: (name: string) => Place): NamedFolder {
  const problems: Failure[] = [];
  const steps: NamedStep[] = [];
  const present = new Set(names);
  for (const name of names) {
    if (isLeftAlone(name) || name === 'transition.yaml') continue;
    const match = stepFile.exec(name);
    const kind = kinds[match?.[4] ?? ''];
    const half = match?.[3];
    if (match === null || kind === undefined || (half !== undefined && kind !== 'sql')) {
      problems.push(misnamed(transition, name, placeOf(name)));
      continue;
    }
    const stem = `${match[1] ?? ''}_${match[2] ?? ''}`;
    if (half === '.down') {
      const wanted = `${stem}.up.sql`;
      if (!present.has(wanted)) problems.push(failure('STEP_DOWN_WITHOUT_UP', { name, transition, wanted }, { place: placeOf(name) }));
      continue;
    }
    const down = half === '.up' && present.has(`${stem}.down.sql`) ? `${stem}.down.sql` : null;
    steps.push({
      id: `${transition}/${stem}`,
      number: Number(match[1]),
      name: match[2] ?? '',
      kind,
      forwardFile: name,
      backwardFile: down,
    });
  }
  steps.sort((a, b) => a.number - b.number);
  problems.push(...duplicateNumbers(transition, steps, placeOf));
  return { steps, problems };
}

function duplicateNumbers(transition: string, steps: readonly NamedStep[], placeOf: (name: string) => Place): readonly Failure[] {
  const problems: Failure[] = [];
  for (let at = 0; at < steps.length;) {
    const { number } = steps[at] ?? { number: -1 };
    let end = at + 1;
    while (steps[end]?.number === number) end++;
    const names = steps.slice(at, end).map(({ forwardFile }) => forwardFile);
    if (names.length > 1)
      problems.push(failure('STEP_DUPLICATE_NUMBER', { number, names, transition }, { place: placeOf(names[1] ?? '') }));
    at = end;
  }
  return problems;
}

function misnamed(transition: string, name: string, place: Place): Failure {
  if (/^transition\.(ya?ml|json)$/i.test(name)) return failure('TRANSITION_FILE_NAME', { name, transition }, { place });
  const match = /^(\d+)([_\-. ]*)(.*?)(\.up|\.down)?\.([A-Za-z]+)$/.exec(name);
  if (match === null) {
    const why = /^\d/.test(name) ? 'it has no extension' : 'it does not begin with a number';
    return failure('STEP_NAME', { name, transition, why, suggestion: null }, { place });
  }
  const [, digits = '', separator = '', rest = '', half = '', extension = ''] = match;
  const lower = extension.toLowerCase();
  const isKnown = kinds[lower] !== undefined;
  const stem = rest
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '_')
    .replace(/^_+|_+$/g, '');
  const whys = [
    digits.length < 3 && 'its number has fewer than three digits',
    separator !== '_' && 'the number is not followed by "_"',
    rest !== stem && 'its name may have a-z, 0-9, _ and - only',
    stem === '' && 'it has no name',
    !isKnown && `".${extension}" is no kind of step`,
    isKnown && lower !== extension && 'its extension is not in small letters',
    half !== '' && lower !== 'sql' && `"${half}" is for SQL alone`,
  ].filter((why) => why !== false);
  const suggestion = isKnown && stem !== '' ? `${digits.padStart(3, '0')}_${stem}${lower === 'sql' ? half : ''}.${lower}` : null;
  return failure('STEP_NAME', { name, transition, why: whys.join(', '), suggestion }, { place });
}
