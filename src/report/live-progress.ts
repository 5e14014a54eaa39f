// Writes down what a run is at, over and over into one small file, for those who look on from another process. Promises that it costs next to
// nothing, and that a disk that is full or gone fails no run: whoever looks on sees less.
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UpgradeEvent } from '../model/event.ts';
import type { LiveProgress } from '../model/live-progress.ts';
import type { Scrub } from './reporter.ts';
import { escapeControls } from './sanitize.ts';
import { scrubValue } from './scrub.ts';

const everyMs = 200;

/** A listener for the event bus; `dir`: `state/runs/<id>`. The file goes with the end of the run. */
export function createLiveProgress({ dir, scrub }: { readonly dir: string; readonly scrub: Scrub }): (event: UpgradeEvent) => void {
  const file = join(dir, 'progress.json');
  let now: Omit<LiveProgress, 'at'> = { backup: null, step: null };
  let writtenAt = -Infinity;
  let timer: NodeJS.Timeout | null = null;
  const write = (): void => {
    timer = null;
    writtenAt = performance.now();
    const told = scrubValue({ at: new Date().toISOString(), ...now }, (text) => escapeControls(scrub(text)));
    try {
      writeFileSync(`${file}.partial`, JSON.stringify(told), { mode: 0o600 });
      renameSync(`${file}.partial`, file);
    } catch {
      // Nothing depends on it.
    }
  };
  const changed = (next: Partial<typeof now>): void => {
    now = { ...now, ...next };
    timer ??= setTimeout(write, Math.max(0, writtenAt + everyMs - performance.now())).unref();
  };
  return (event) => {
    switch (event.type) {
      case 'backup-progress':
        return changed({ backup: { doneBytes: event.doneBytes, totalBytes: event.totalBytes } });
      case 'step-started':
        return changed({
          step: { id: event.step, action: event.action, description: event.description, done: null, total: null, note: '' },
        });
      case 'step-progress':
        if (now.step?.id !== event.step) return;
        return changed({ step: { ...now.step, done: event.done, total: event.total, note: event.note } });
      case 'phase-finished':
        return changed({ backup: null, step: null });
      case 'run-finished':
        if (timer !== null) clearTimeout(timer);
        try {
          rmSync(file, { force: true });
        } catch {
          // The next to look sees how old it is.
        }
        return;
      default:
    }
  };
}
