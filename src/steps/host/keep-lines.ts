// Merges a change into a text that was written in another layout: given the text, the same as a formatter writes it, and the changed one as the formatter writes it.

/** `null` where the text and its formatted form do not correspond line by line. Pure. */
export function keepUntouchedLines(text: string, formatted: string, changed: string): string | null {
  const original = linesOf(text);
  const before = linesOf(formatted);
  const after = linesOf(changed);
  const corresponds = original.length === before.length && before.every((line, at) => squeezed(line) === squeezed(original[at] ?? ''));
  if (!corresponds) return null;
  const pairs = commonLines(before, after);
  if (pairs === null) return null;
  const source = new Map(pairs.map(([from, to]) => [to, from]));
  const merged = after.map((line, at) => original[source.get(at) ?? -1] ?? line).join('\n');
  return changed.endsWith('\n') && (text.endsWith('\n') || text === '') ? `${merged}\n` : merged;
}

function linesOf(text: string): readonly string[] {
  return text.replace(/\r\n/g, '\n').replace(/\n$/, '').split('\n');
}

function squeezed(line: string): string {
  return line.replace(/\s+/g, '');
}

/** More than this is not worth the time: configuration files are small. */
const largestTable = 4_000_000;

/** Index pairs of the longest common subsequence, after what both begin and end with. */
function commonLines(a: readonly string[], b: readonly string[]): readonly (readonly [number, number])[] | null {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const height = a.length - start - end;
  const width = b.length - start - end;
  if (height * width > largestTable) return null;
  const table = Array.from({ length: height + 1 }, () => new Uint32Array(width + 1));
  const lengthAt = (i: number, j: number): number => table[i]?.[j] ?? 0;
  for (let i = height - 1; i >= 0; i -= 1) {
    const row = table[i];
    if (row === undefined) continue;
    for (let j = width - 1; j >= 0; j -= 1) {
      row[j] = a[start + i] === b[start + j] ? lengthAt(i + 1, j + 1) + 1 : Math.max(lengthAt(i + 1, j), lengthAt(i, j + 1));
    }
  }
  const pairs: (readonly [number, number])[] = Array.from({ length: start }, (_, at) => [at, at]);
  for (let i = 0, j = 0; i < height && j < width;) {
    if (a[start + i] === b[start + j]) pairs.push([start + i++, start + j++]);
    else if (lengthAt(i + 1, j) >= lengthAt(i, j + 1)) i += 1;
    else j += 1;
  }
  for (let at = end; at > 0; at -= 1) pairs.push([a.length - at, b.length - at]);
  return pairs;
}
