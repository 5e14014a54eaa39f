// The files of runs that are over: what nobody can need any more is deleted. Never the copies of steps that are applied now, as a
// downgrade runs them, and never anything of a run that is unfinished or stranded.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import type { Journal } from '../model/ports.ts';
import { runDir } from './held-run.ts';

export async function pruneRunFiles(config: Pick<Config, 'state' | 'backup'>, journal: Journal): Promise<void> {
  const runs = await journal.runs();
  const recent = new Set(runs.slice(0, config.backup.keep).map(({ id }) => id));
  // Nothing is read of thousands of steps where no run is old.
  const applied = runs.length > recent.size ? await runsOfWhatIsApplied(journal) : recent;
  for (const { id, outcome } of runs) {
    if (outcome === null || outcome === 'stranded') continue;
    const dir = runDir(config, id);
    if (!existsSync(dir)) continue;
    // What was there before the steps: a committed run is not taken back from it.
    if (outcome === 'committed') rmSync(path.join(dir, 'undo'), { recursive: true, force: true });
    if (recent.has(id)) continue;
    if (!applied.has(id)) rmSync(dir, { recursive: true, force: true });
    else removeAllBut(dir, ['steps', 'plan.json']);
  }
}

async function runsOfWhatIsApplied(journal: Journal): Promise<ReadonlySet<string | null>> {
  const [transitions, rungs] = await Promise.all([journal.committedPath(), journal.ladderSteps()]);
  return new Set([...transitions, ...rungs].map(({ runId }) => runId));
}

function removeAllBut(dir: string, kept: readonly string[]): void {
  for (const name of readdirSync(dir)) {
    if (!kept.includes(name)) rmSync(path.join(dir, name), { recursive: true, force: true });
  }
}
