// Keeps a bounded part of an output that may be endless.
const keptBytes = 64 * 1024;

export interface Tail {
  append(chunk: Buffer): void;
  text(): string;
}

/** The last 64 KiB. */
export function createTail(): Tail {
  let kept: Buffer[] = [];
  let bytes = 0;
  return {
    append(chunk) {
      kept.push(chunk);
      bytes += chunk.length;
      // Joined only now and then, so that a flood of small chunks costs no copy each.
      if (bytes > 4 * keptBytes) {
        kept = [Buffer.concat(kept).subarray(-keptBytes)];
        bytes = keptBytes;
      }
    },
    text: () => Buffer.concat(kept).subarray(-keptBytes).toString('utf8'),
  };
}

/** The first 64 KiB. */
export function createHead(): Tail {
  const kept: Buffer[] = [];
  let bytes = 0;
  return {
    append(chunk) {
      if (bytes >= keptBytes) return;
      kept.push(chunk.subarray(0, keptBytes - bytes));
      bytes += chunk.length;
    },
    text: () => Buffer.concat(kept).toString('utf8'),
  };
}

/** The last lines that say something, without the white space at their ends. */
export function lastLines(text: string, count = 20): readonly string[] {
  const lines = text.split(/\r?\n|\r/).map((line) => line.trimEnd());
  return lines.filter((line) => line !== '').slice(-count);
}
