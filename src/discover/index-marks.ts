// Writes `has_run` into an index, for the tool that keeps it there: every other byte of the file stays as it is. Replaced atomically, and synced.
import { readFile } from 'node:fs/promises';
import { jsonLiteralRange } from './json-text.ts';
import { entriesIn } from './ladder-index.ts';
import { replaceFile } from './replace-file.ts';

/** By number. Ids that the index does not have are left out. Says whether anything had to be changed. Throws what reading and writing throw. */
export async function markInIndex(file: string, hasRun: ReadonlyMap<number, boolean>): Promise<boolean> {
  const before = await readFile(file, 'utf8');
  const after = marked(before, hasRun);
  if (after === before) return false;
  await replaceFile(file, after);
  return true;
}

function marked(text: string, hasRun: ReadonlyMap<number, boolean>): string {
  const found = entriesIn(JSON.parse(text.replace(/^\uFEFF/, '')));
  if (found === null) throw new Error('it has no array of migrations');
  let result = text;
  for (const [position, entry] of found.list.entries()) {
    if (typeof entry !== 'object' || entry === null || !('id' in entry)) continue;
    const wanted = hasRun.get(Number(entry.id));
    const keys = [...found.keys, String(position)];
    const mark = jsonLiteralRange(result, [...keys, 'has_run']);
    const id = jsonLiteralRange(result, [...keys, 'id']);
    if (wanted === undefined || id === null) continue;
    if (mark !== null) result = result.slice(0, mark.start) + String(wanted) + result.slice(mark.end);
    // An entry without the mark was never run: there it is only needed to say otherwise.
    else if (wanted)
      result = `${result.slice(0, id.end)},${gapBefore(result, id.start)}"has_run":${gapAfterColon(result, id.start)}true${result.slice(id.end)}`;
  }
  return result;
}

/** The white space in front of the key whose value starts there, so that a new key is set as it is. */
function gapBefore(text: string, value: number): string {
  return /(\s*)"id"\s*:\s*$/.exec(text.slice(0, value))?.[1] ?? ' ';
}

function gapAfterColon(text: string, value: number): string {
  return /:(\s*)$/.exec(text.slice(0, value))?.[1] ?? ' ';
}
