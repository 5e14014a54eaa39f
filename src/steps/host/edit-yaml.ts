// Changes a YAML text through its document tree. Comments and order stay, and lines that the change does not touch stay as they are to the letter.
import { isDeepStrictEqual } from 'node:util';
import type { YamlDocument } from '../../step-api.ts';
import { keepUntouchedLines } from './keep-lines.ts';

/** Throws with line and column where the text is not YAML. */
export async function editYaml(text: string, change: (doc: YamlDocument) => unknown): Promise<string> {
  const { parseDocument } = await import('yaml');
  const doc = parseDocument(text);
  const [problem] = doc.errors;
  if (problem !== undefined) throw problem;
  const layout = layoutOf(text);
  const untouched = doc.toString(layout);
  await change(doc);
  const changed = doc.toString(layout);
  if (changed === untouched) return text;
  const kept = keepUntouchedLines(text, untouched, changed);
  // Lines of two layouts may not fit together: then the whole is written in one.
  const parsed = kept === null ? null : parseDocument(kept);
  const isSame = parsed !== null && parsed.errors.length === 0 && isDeepStrictEqual(parsed.toJS(), doc.toJS());
  const written = kept !== null && isSame ? kept : changed;
  return text.includes('\r\n') ? written.replace(/\r?\n/g, '\r\n') : written;
}

function layoutOf(text: string): { readonly indent: number; readonly indentSeq: boolean; readonly lineWidth: number } {
  const indent = /^( +)[^\s#-]/m.exec(text)?.[1]?.length ?? 2;
  const list = /^( *)[^\s#-][^\n]*:[ \t]*\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*( *)- /m.exec(text);
  return {
    indent: indent >= 1 && indent <= 8 ? indent : 2,
    indentSeq: list === null || (list[2] ?? '').length > (list[1] ?? '').length,
    lineWidth: 0, // Long lines are not folded.
  };
}
