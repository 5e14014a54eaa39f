// TypeScript steps without their types, by the SHA-256 of the file that each was made from: what describing a step has stripped already need not be
// stripped again to execute it. Lives as long as the process.

export interface StrippedCode {
  /** Of the file's bytes, hex. */
  readonly sha256: string;
  readonly code: string;
}

/** More than this is stripped again: it is sent along with each order. */
export const largestStripped = 16 * 1024;

const known = new Map<string, string>();

export function rememberStripped(made: readonly StrippedCode[]): void {
  for (const { sha256, code } of made) known.set(sha256, code);
}

export function strippedOf(sha256: string): string | null {
  return known.get(sha256) ?? null;
}
