// Keeps the compiled form of our own code between two starts. Node's default place for it lies in the folder for everybody's temporary files;
// what is in the cache is executed, so it belongs where nobody else may write.
import { lstatSync, mkdirSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/** In `$XDG_CACHE_HOME/rungs` or `~/.cache/rungs`. Without a private folder there is none: it only saves time. */
export function keepCompiledCode(env: Readonly<Record<string, string | undefined>>): void {
  const home = env['HOME'] ?? '';
  const base = env['XDG_CACHE_HOME'] ?? (home === '' ? '' : join(home, '.cache'));
  if (base === '' || !base.startsWith('/')) return;
  const dir = join(base, 'rungs');
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const found = lstatSync(dir);
    if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0) enableCompileCache(dir);
  } catch {
    // No folder can be made there.
  }
}
