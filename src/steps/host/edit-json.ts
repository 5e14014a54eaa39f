// Changes a JSON text through its value. Indentation and the newline at the end stay.

/** `change` alters what it is given or returns another value. */
export async function editJson<Value>(text: string, change: (value: Value) => unknown): Promise<string> {
  // What shape the file has is for the step to say.
  const value: Value = JSON.parse(text.trim() === '' ? '{}' : text.replace(/^\uFEFF/, ''));
  const before = JSON.stringify(value);
  const after = (await change(value)) ?? value;
  if (JSON.stringify(after) === before) return text;
  const indent = text.trim() === '' ? '  ' : (/^([ \t]+)\S/m.exec(text)?.[1] ?? '');
  const written = JSON.stringify(after, null, indent) + (text === '' || text.endsWith('\n') ? '\n' : '');
  return text.includes('\r\n') ? written.replace(/\n/g, '\r\n') : written;
}
