// Changes a YAML text through its document tree, so that comments, order and indentation stay.
import type { Document } from 'yaml';

/** Throws with line and column where the text is not YAML. */
export async function editYaml(text: string, change: (doc: Document) => unknown): Promise<string> {
  const { parseDocument } = await import('yaml');
  const doc = parseDocument(text, { keepSourceTokens: true });
  const [problem] = doc.errors;
  if (problem !== undefined) throw problem;
  const untouched = doc.toString(layoutOf(text));
  await change(doc as unknown as Document);
  const changed = doc.toString(layoutOf(text));
  // A change that changes nothing must not reformat the file.
  if (changed === untouched) return text;
  return text.includes('\r\n') ? changed.replace(/\r?\n/g, '\r\n') : changed;
}

function layoutOf(text: string): { readonly indent: number; readonly indentSeq: boolean; readonly lineWidth: number; readonly flowCollectionPadding: boolean } {
  const indent = /^( +)[^\s#-]/m.exec(text)?.[1]?.length ?? 2;
  const list = /^( *)[^\s#-][^\n]*:[ \t]*\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*( *)- /m.exec(text);
  return {
    indent: indent >= 1 && indent <= 8 ? indent : 2,
    indentSeq: list === null || (list[2] ?? '').length > (list[1] ?? '').length,
    lineWidth: 0, // Long lines are not folded.
    flowCollectionPadding: !/[{[][^\s\]}]/.test(text.replace(/#[^\n]*/g, '')),
  };
}
