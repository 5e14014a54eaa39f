// Reads `-- rungs-allow: CODE reason`. Such a comment covers the line that it stands on, or, alone on its line, the next line that is no comment.
import { sqlRules, type Remark, type SqlCode } from './rules.ts';

export interface Waiver {
  /** `null` where the word is no code. */
  readonly code: SqlCode | null;
  readonly word: string;
  readonly reason: string;
  readonly offset: number;
  /** The line that it covers, from 1. */
  readonly line: number;
}

// Two quotes in a row are two literals side by side, which comes to the same.
const token = /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'[^']*(?:'|$)|"[^"]*(?:"|$)|`[^`]*(?:`|$)|\$([A-Za-z_]\w*)?\$/g;
const form = /^--+[ \t]*rungs[-_ ]allow\b[ \t]*:?[ \t]*([\w-]*)[ \t]*(.*)$/i;

export function readWaivers(text: string): readonly Waiver[] {
  if (!/rungs[-_ ]allow/i.test(text)) return [];
  const lines = text.split('\n');
  const lineStarts: number[] = [];
  let start = 0;
  for (const line of lines) {
    lineStarts.push(start);
    start += line.length + 1;
  }
  const waivers: Waiver[] = [];
  for (const { comment, offset } of lineComments(text)) {
    const match = form.exec(comment.trimEnd());
    if (match === null) continue;
    const at = lineStarts.findLastIndex((begin) => begin <= offset);
    const word = match[1] ?? '';
    const code = word.toUpperCase().replaceAll('-', '_');
    const isAlone = (lines[at] ?? '').trimStart().startsWith('--');
    waivers.push({
      code: isCode(code) ? code : null,
      word,
      reason: (match[2] ?? '')
        .trim()
        .replace(/^\((.*)\)$/, '$1')
        .trim(),
      offset,
      line: isAlone ? nextLine(lines, at) : at + 1,
    });
  }
  return waivers;
}

/** What is left of the remarks, and what is wrong with the waivers themselves. */
export function applyWaivers(
  remarks: readonly Remark[],
  waivers: readonly Waiver[],
  lineOf: (offset: number) => number,
  { isComplete }: { readonly isComplete: boolean },
): readonly Remark[] {
  if (waivers.length === 0) return remarks;
  const used = new Set<Waiver>();
  const left = remarks.filter((remark) => {
    const lines = [lineOf(remark.offset), lineOf(remark.statement)];
    const covering = waivers.filter(({ code, line }) => code === remark.code && lines.includes(line));
    for (const waiver of covering) used.add(waiver);
    return covering.length === 0;
  });
  const wrong = waivers.flatMap((waiver): readonly Remark[] => {
    const remark = (code: SqlCode): Remark => ({
      code,
      what: `the waiver of ${waiver.word === '' ? 'nothing' : waiver.word}`,
      offset: waiver.offset,
      statement: waiver.offset,
    });
    if (waiver.code === null) return [remark('SQL_WAIVER_UNKNOWN')];
    if (waiver.reason === '') return [remark('SQL_WAIVER_NO_REASON')];
    // Of what could not be parsed nobody knows what it would have waived.
    return used.has(waiver) || !isComplete ? [] : [remark('SQL_WAIVER_UNUSED')];
  });
  return [...left, ...wrong];
}

function isCode(text: string): text is SqlCode {
  return Object.hasOwn(sqlRules, text) && !text.startsWith('SQL_WAIVER_');
}

function nextLine(lines: readonly string[], at: number): number {
  let next = at + 1;
  while ((lines[next] ?? '').trimStart().startsWith('--')) next++;
  return next + 1;
}

function* lineComments(text: string): Generator<{ readonly comment: string; readonly offset: number }> {
  token.lastIndex = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [found] = match;
    // What stands between dollar quotes is text.
    if (found.startsWith('$')) {
      const end = text.indexOf(found, token.lastIndex);
      if (end >= 0) token.lastIndex = end + found.length;
    } else if (found.startsWith('--')) {
      const offset = match.index;
      const resume = token.lastIndex;
      yield { comment: found, offset };
      token.lastIndex = resume;
    }
  }
}
