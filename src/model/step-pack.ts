// Many small SQL files in one: the form in which a run keeps its copies of them. Making thousands of files takes a file system longer than running
// what is in them. Pure.

/** Lies in the copy of a transition folder. Names that begin with a point are left alone in the migrations themselves. */
export const packName = '.sql.pack';

/** Fewer are kept as files: they can be looked at with any tool, and cost nothing. */
export const fewestPacked = 64;
/** A larger one is kept as a file of its own. */
export const largestPackedBytes = 16 * 1024;

/** Whether a file of a transition may go into a pack: step files, not what lies beside them. */
export function isPackable(file: string): boolean {
  return file.endsWith('.sql') && !file.includes('/') && !file.startsWith('_');
}

/** A line of JSON with names and lengths, then the bytes of all of them. */
export function packSteps(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const index = Buffer.from(`${JSON.stringify([...files].map(([name, bytes]) => [name, bytes.length]))}\n`);
  return Buffer.concat([index, ...files.values()]);
}

/** By name; `null` where it is not a pack, or not a whole one. The bytes are those of the pack, not copies. */
export function unpackSteps(pack: Uint8Array): ReadonlyMap<string, Uint8Array> | null {
  const end = pack.indexOf(10);
  const index = end < 0 ? null : parseIndex(Buffer.from(pack.subarray(0, end)).toString());
  if (index === null) return null;
  const files = new Map<string, Uint8Array>();
  let at = end + 1;
  for (const [name, length] of index) {
    files.set(name, pack.subarray(at, at + length));
    at += length;
  }
  return at === pack.length ? files : null;
}

function parseIndex(text: string): readonly (readonly [string, number])[] | null {
  try {
    const index: unknown = JSON.parse(text);
    return Array.isArray(index) && index.every(isEntry) ? index : null;
  } catch {
    return null;
  }
}

function isEntry(entry: unknown): entry is [string, number] {
  return Array.isArray(entry) && typeof entry[0] === 'string' && Number.isInteger(entry[1]) && Number(entry[1]) >= 0;
}
