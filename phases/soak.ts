// Watches what was well: the services that this run has restarted, and the probes, for as long as the config says; each service once at least.
// Promises that the processes that were proven well are those that run at the end of it, or rejects with all that is not so.
import { failure, failuresOf, UpgradeError, type Failure } from '../src/model/failure.ts';
import type { Ports, RunContext, WellReport } from '../src/model/ports.ts';
import { checkNotCancelled } from './cancelling.ts';

type Needs = Pick<Ports, 'journal' | 'services' | 'probes' | 'events' | 'clock'>;

const lookEveryMs = 1_000;
const probeEveryMs = 5_000;
/** How long one look may take. */
const lookMs = 10_000;
/** A probe that fails once while it is watched is tried again, for no longer than this. */
const probeWithinMs = 10_000;

export async function watchOn(ports: Needs, run: RunContext): Promise<void> {
  const { clock, events } = ports;
  const { soakMs } = run.config;
  const restarted = await restartedServices(ports, run);
  const deadline = clock.monotonic() + soakMs;
  if (soakMs > 0) events.emit({ type: 'soak-started', durationMs: soakMs });
  let probeAt = clock.monotonic() + Math.min(probeEveryMs, soakMs);
  for (;;) {
    checkNotCancelled(run.signal);
    const isLast = clock.monotonic() >= deadline;
    // The probes have passed just now; at the end of a soak they do once more.
    const probes = soakMs > 0 && (isLast || clock.monotonic() >= probeAt) ? probesAgain(ports, run) : [];
    if (clock.monotonic() >= probeAt) probeAt = clock.monotonic() + probeEveryMs;
    const problems = (await Promise.all([...restarted.map((report) => lookAgain(ports, run, report)), probes])).flat();
    checkNotCancelled(run.signal);
    if (problems.length > 0) throw new UpgradeError(problems);
    if (isLast) return;
    await clock.sleep(Math.min(lookEveryMs, Math.max(0, deadline - clock.monotonic())), run.signal).catch(() => undefined);
  }
}

/** As what each was well. What was left alone is nobody's concern here. */
async function restartedServices({ journal }: Needs, run: RunContext): Promise<readonly WellReport[]> {
  const effects = await journal.effects(run.id);
  return effects
    .filter(({ key, isSettled }) => key.startsWith('restart:') && isSettled)
    .map(({ outcome }) => outcome as WellReport)
    .filter(({ name, failure: problem }) => problem === undefined && run.config.services[name] !== undefined);
}

async function lookAgain({ services, clock }: Needs, run: RunContext, { name, identity }: WellReport): Promise<readonly Failure[]> {
  const service = run.config.services[name];
  if (service === undefined) return [];
  const lost = async (account: string): Promise<readonly Failure[]> => {
    const log = await services.lastOutput(service);
    return [failure('SERVICE_LOST', { service: name, account }, { phase: 'verify', ...(log.length === 0 ? {} : { log }) })];
  };
  const look = async (): Promise<string | null> => {
    const sight = await services.look(service, lookMs, run.signal);
    // An engine that does not know an identity cannot deny it.
    const isAnother = identity !== undefined && sight.identity !== null && sight.identity !== identity;
    return isAnother ? `was started again since (${sight.identity} in place of ${identity})` : sight.account;
  };
  try {
    const seen = await look();
    if (seen === null || run.signal.aborted) return [];
    // One bad look may be the look's own fault: a health command on a busy machine.
    await clock.sleep(lookEveryMs, run.signal).catch(() => undefined);
    const again = await look();
    return again === null || run.signal.aborted ? [] : await lost(again);
  } catch (error) {
    return run.signal.aborted ? [] : failuresOf(error);
  }
}

async function probesAgain({ probes, events }: Needs, run: RunContext): Promise<readonly Failure[]> {
  const reports = await Promise.all(
    run.config.verify.map((probe) => probes.run({ ...probe, withinMs: Math.min(probe.withinMs, probeWithinMs) }, run.signal)),
  );
  const failed = reports.filter(({ status }) => status === 'failed');
  if (failed.length === 0 || run.signal.aborted) return [];
  for (const report of failed) events.emit({ type: 'probe-settled', report });
  const what = failed.map(({ name, detail }) => `${name}, which had passed${detail === undefined ? '' : ` (${detail})`}`);
  return [failure('VERIFY_FAILED', { what }, { phase: 'verify' })];
}
