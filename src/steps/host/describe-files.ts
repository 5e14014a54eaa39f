// Loads step files and tells what each says of itself: its data, and which halves it has.
import type { Failure } from '../../model/failure.ts';
import type { ModuleDescription } from '../../model/ports.ts';
import { largestStripped, type StrippedCode } from '../stripped-code.ts';
import { loadModule, strippedHere } from './module-loader.ts';

/** One answer per file, in order. `stripped`: what the loading made of small files on the way. */
export function describeFiles(files: readonly string[]): {
  readonly answers: readonly (ModuleDescription | Failure)[];
  readonly stripped: readonly StrippedCode[];
} {
  const answers = files.map((file): ModuleDescription | Failure => {
    const loaded = loadModule(file);
    if ('code' in loaded) return loaded;
    const { forward, backward, check, ...rest } = loaded.members;
    return {
      metadata: dataOf(rest),
      hasForward: typeof forward === 'function',
      hasBackward: typeof backward === 'function',
      hasCheck: typeof check === 'function',
    };
  });
  return { answers, stripped: files.flatMap((file) => strippedHere(file) ?? []).filter(({ code }) => code.length <= largestStripped) };
}

/** Only what survives JSON: functions, symbols and classes are left out. */
function dataOf(members: Readonly<Record<string, unknown>>): unknown {
  const seen = new WeakSet<object>();
  const text = JSON.stringify(members, (_, value: unknown) => {
    if (typeof value === 'bigint') return Number(value);
    if (typeof value !== 'object' || value === null) return value;
    if (seen.has(value)) return undefined;
    seen.add(value);
    return value;
  });
  return JSON.parse(text);
}
