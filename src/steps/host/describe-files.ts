// Loads step files and tells what each says of itself: its data, and which halves it has.
import type { Failure } from '../../model/failure.ts';
import type { ModuleDescription } from '../../model/ports.ts';
import { loadModule } from './module-loader.ts';

/** One answer per file, in order. */
export function describeFiles(files: readonly string[]): readonly (ModuleDescription | Failure)[] {
  return files.map((file) => {
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
