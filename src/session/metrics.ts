// Collects what the metrics are made of, and writes them for hosts where nothing serves them. A file that cannot be written fails no run.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Config } from '../model/config.ts';
import { fail, messageOf } from '../model/failure.ts';
import { metricsText } from '../report/metrics.ts';
import { openInstallation, readJournal } from './journals.ts';
import { runSoFar } from './run-so-far.ts';
import { statusDocument } from './status.ts';

export async function metricsOf(config: Config): Promise<string> {
  const status = await statusDocument(config, { installation: openInstallation(config) });
  const runs = await readJournal(config, async (journal) => (await journal?.runs()) ?? []);
  const last = runs[0] === undefined ? null : await runSoFar(config, runs[0].id);
  return metricsText({
    product: status.product,
    version: status.version,
    latest: status.latest,
    state: status.state,
    pending: status.pending.length + status.ladders.reduce((sum, { pending }) => sum + pending, 0),
    lockSince: status.lock === null || status.lock.since === null ? null : Date.parse(status.lock.since) / 1_000,
    runs,
    lastPhases: last?.phases ?? [],
    lastSteps: last?.steps ?? [],
    backups: status.backups,
    now: Date.now() / 1_000,
  });
}

/** Throws METRICS_FAILED. Whoever reads the file sees the old one or the new one. */
export async function writeMetrics(config: Config, file: string): Promise<void> {
  // node_exporter reads what ends in `.prom`, and this does not.
  const beside = `${file}.${process.pid}`;
  try {
    const text = await metricsOf(config);
    const fd = openSync(beside, 'w', 0o644);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw fail('METRICS_FAILED', { file, why: messageOf(error) }, {}, error);
  }
}
