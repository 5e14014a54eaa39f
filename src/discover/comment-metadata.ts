// Finds `-- rungs: {…}` or `# rungs: {…}` in the leading comment of a step and reads it as YAML, at the line and column where it stands.
import { failure, type Failure } from '../model/failure.ts';
import { readYaml, type Located, type YamlSource } from '../model/yaml-source.ts';
import { checkDeclared, type Declared } from './step-metadata.ts';

interface Comment {
  /** What follows `rungs:`; that and the comment signs are blanks, so that columns are right. */
  readonly yaml: string;
  readonly linesBefore: number;
}

export interface CommentMetadata {
  readonly declared: Declared | null;
  readonly problems: readonly Failure[];
}

const nothing: CommentMetadata = { declared: null, problems: [] };

/** Thousands of steps tend to share a handful of comments: each is parsed once. */
export function createCommentReader(): (text: string, sign: '--' | '#', file: string, step: string) => CommentMetadata {
  const read = new Map<string, Declared>();
  return (text, sign, file, step) => {
    if (!/rungs:/i.test(text)) return nothing;
    const comment = findComment(text, sign);
    if (comment === null) return nothing;
    if (comment === 'misplaced')
      return {
        declared: null,
        problems: [failure('METADATA_MISPLACED', { step }, { place: { file, line: misplacedLine(text, sign) }, step })],
      };
    const locate = (): { source: Located; under: readonly string[] } => ({ source: sourceOf(comment, file, step), under: ['rungs'] });
    const before = read.get(comment.yaml);
    if (before !== undefined) return { declared: { text: before.text, locate }, problems: [] };
    const source = sourceOf(comment, file, step);
    if (source.value === undefined) return { declared: null, problems: source.problems };
    const { declared, problems } = checkDeclared(source, ['rungs'], step);
    if (declared === null || source.problems.length + problems.length > 0) return { declared, problems: [...source.problems, ...problems] };
    read.set(comment.yaml, declared);
    return { declared, problems };
  };
}

/** The value stands by itself, so that braces may be closed at any column; for messages it is under `rungs`. */
function sourceOf({ yaml, linesBefore }: Comment, file: string, of: string): YamlSource {
  const inner = readYaml({ text: yaml, file, of, linesBefore });
  return {
    ...inner,
    value: inner.value === undefined ? undefined : { rungs: inner.value },
    placeAt: (path, on) => inner.placeAt(path.slice(1), on),
    isHidden: () => false,
  };
}

function findComment(text: string, sign: '--' | '#'): Comment | 'misplaced' | null {
  const lines = text.split(/\r?\n/);
  const head = new RegExp(String.raw`^(\s*${sign}+\s*)rungs:`, 'i');
  let comment: Comment | null = null;
  let at = 0;
  for (; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (line.trim() === '') continue;
    if (!line.trimStart().startsWith(sign)) break;
    const match = head.exec(line);
    if (match === null) continue;
    if (comment !== null) return 'misplaced';
    const indent = match[1]?.length ?? 0;
    const taken = [' '.repeat(match[0].length) + line.slice(match[0].length)];
    while (at + 1 < lines.length && continues(taken, lines[at + 1] ?? '', sign, indent)) taken.push(blanked(lines[++at] ?? '', sign));
    comment = { yaml: taken.join('\n'), linesBefore: at + 1 - taken.length };
  }
  if (lines.slice(at).some((line) => head.test(line))) return 'misplaced';
  return comment;
}

function continues(taken: readonly string[], line: string, sign: string, indent: number): boolean {
  if (!line.trimStart().startsWith(sign)) return false;
  const inner = blanked(line, sign);
  if (inner.trim() === '') return false;
  const isOpen = /[{[]/.test(taken.join('')) && balance(taken.join('\n')) > 0;
  return isOpen || inner.length - inner.trimStart().length > indent;
}

function balance(yaml: string): number {
  return (yaml.match(/[{[]/g) ?? []).length - (yaml.match(/[}\]]/g) ?? []).length;
}

function blanked(line: string, sign: string): string {
  const at = line.indexOf(sign);
  return line.slice(0, at) + ' '.repeat(sign.length) + line.slice(at + sign.length);
}

function misplacedLine(text: string, sign: '--' | '#'): number {
  const head = new RegExp(String.raw`^\s*${sign}+\s*rungs:`, 'i');
  const found = text.split('\n').flatMap((line, at) => (head.test(line) ? [at + 1] : []));
  return found.at(-1) ?? 1;
}
