// Tells of a module step's text whether all that it can do, it does through the handle of one database. Then the marker row in that database
// decides what became of it, as for an SQL step. Promises to say no where it is not sure: that costs time, and nothing else.

// Wherever they stand, in a comment or a text too: other ways out of the module, and what is committed before the step has come to its end.
const waysOut = String.raw`checkpoint|batches|require|process|global|globalThis|module|exports|eval|Function|constructor|prototype|__proto__|fetch|WebSocket|EventSource|Worker|BroadcastChannel|MessageChannel|WebAssembly|import\s*[(.]`;
const unrecordedWays = new RegExp(String.raw`\b(?:${waysOut})`);
// And what is not part of the step's one transaction.
const otherWays = new RegExp(String.raw`\b(?:files|log|progress|console|${waysOut})`);
const otherImport = /\b(?:from|import)\s*["'](?!rungs["'])/;

/** Whether all that it does is recorded before it is done, or lies in a transaction: then it is taken back without a backward. */
export function isRecordedOnly(text: string): boolean {
  return !unrecordedWays.test(text) && !otherImport.test(text) && runsNoCommands(text, '(?:sqlite|postgres)');
}

export function isDatabaseOnly(text: string): boolean {
  if (otherWays.test(text) || otherImport.test(text)) return false;
  const kinds = ['sqlite', 'postgres'].filter((kind) => new RegExp(String.raw`\b${kind}\b`).test(text));
  const [kind] = kinds;
  return kind !== undefined && kinds.length === 1 && usesOnly(kind, text);
}

function usesOnly(kind: string, text: string): boolean {
  const handles = [...text.matchAll(new RegExp(String.raw`\b${kind}\s*\(\s*(["'])([^"'\\]+)\1\s*\)`, 'g'))];
  const [first] = handles;
  if (first === undefined || handles.some(([, , name]) => name !== first[2])) return false;
  // Taken out of the context, or called with a name: anything else might be another name for it.
  const taken = countOf(text, String.raw`\b${kind}\s*(?=[,}])`);
  if (countOf(text, String.raw`\b${kind}\b`) !== handles.length + taken) return false;
  return runsNoCommands(text, kind);
}

/** `exec` of a handle is SQL, any other is a command. */
function runsNoCommands(text: string, kind: string): boolean {
  const variables = [...text.matchAll(new RegExp(String.raw`\b(?:const|let)\s+(\w+)\s*=\s*(?:\w+\s*\.\s*)?${kind}\s*\(`, 'g'))].map(
    ([, name]) => name,
  );
  const ofHandles = countOf(text, String.raw`\b${kind}\s*\(\s*(?:"[^"\\]+"|'[^'\\]+')\s*\)\s*\.\s*exec\b`);
  const ofVariables = variables.length === 0 ? 0 : countOf(text, String.raw`\b(?:${variables.join('|')})\s*\.\s*exec\b`);
  return countOf(text, String.raw`\bexec\b`) === ofHandles + ofVariables;
}

function countOf(text: string, pattern: string): number {
  return [...text.matchAll(new RegExp(pattern, 'g'))].length;
}
