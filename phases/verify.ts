// Runs every probe and every database's own checks; all run, all are reported.
// Promises that the new version does what the config says it must, or rejects with everything that it does not.
import { failure, UpgradeError } from '../src/model/failure.ts';
import type { Ports, RunContext } from '../src/model/ports.ts';
import type { ProbeReport } from '../src/model/run.ts';
import { checkNotCancelled } from './cancelling.ts';
import { watchOn } from './soak.ts';

type Needs = Pick<Ports, 'probes' | 'databases' | 'events' | 'services' | 'journal' | 'clock'>;

export async function verify(ports: Needs, run: RunContext): Promise<void> {
  checkNotCancelled(run.signal);
  const [reports, findings] = await Promise.all([runProbes(ports, run, run.signal), ports.databases.check()]);
  for (const finding of findings) ports.events.emit({ type: 'finding', finding });
  checkNotCancelled(run.signal);
  const wrong = [
    ...reports.filter(({ status }) => status === 'failed').map(({ name, detail }) => (detail === undefined ? name : `${name} (${detail})`)),
    ...findings.filter(({ level }) => level === 'block').map(({ message }) => message),
  ];
  if (wrong.length > 0) throw new UpgradeError([failure('VERIFY_FAILED', { what: wrong }, { phase: 'verify' })]);
  await watchOn(ports, run);
}

/** All at once; each is reported as it settles. */
export async function runProbes(
  { probes, events }: Pick<Ports, 'probes' | 'events'>,
  run: RunContext,
  signal?: AbortSignal,
): Promise<readonly ProbeReport[]> {
  return Promise.all(
    run.config.verify.map(async (probe) => {
      const report = await probes.run(probe, signal);
      events.emit({ type: 'probe-settled', report });
      return report;
    }),
  );
}
