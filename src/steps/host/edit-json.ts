// Changes a JSON text through its value. Indentation and the newline at the end stay.

/** `change` alters what it is given or returns another value. */
export async function editJson(text: string, change: (value: unknown) => unknown): Promise<string> {
  const value: unknown = text.trim() === '' ? {} : JSON.parse(text.replace(/^\uFEFF/, ''));
  const before = JSON.stringify(value);
  const after = (await change(value)) ?? value;
  if (JSON.stringify(after) === before) return text;
  const indent = text.trim() === '' ? '  ' : (/^([ \t]+)\S/m.exec(text)?.[1] ?? '');
  const written = JSON.stringify(after, null, indent) + (text === '' || text.endsWith('\n') ? '\n' : '');
  return text.includes('\r\n') ? written.replace(/\n/g, '\r\n') : written;
}
