// Offsets of parsers to places in files. Lines and columns count from 1, columns in UTF-16 units as editors do.

export function createLocator(text: string): (offset: number) => { readonly line: number; readonly column: number } {
  const starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (offset) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** PostgreSQL counts bytes of UTF-8. */
export function createByteIndex(text: string): (bytes: number) => number {
  if (!/[^\0-\x7f]/.test(text)) return (bytes) => bytes;
  const buffer = Buffer.from(text);
  return (bytes) => buffer.toString('utf8', 0, bytes).length;
}

/** And in messages code points. */
export function fromCodePoints(text: string, points: number): number {
  let offset = 0;
  for (let left = points; left > 0 && offset < text.length; left--) offset += (text.codePointAt(offset) ?? 0) > 0xff_ff ? 2 : 1;
  return offset;
}

const blank = /(?:\s+|--[^\n]*|\/\*[\s\S]*?\*\/|;)+/y;

/** Where the statement begins whose text, with comments before it, begins at `offset`. */
export function skipBlank(text: string, offset: number): number {
  blank.lastIndex = offset;
  const found = blank.exec(text);
  return found === null ? offset : offset + found[0].length;
}
