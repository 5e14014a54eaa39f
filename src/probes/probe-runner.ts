// The `ProbeRunner` port over probes of every kind: each is tried with back-off until it passes or `withinMs` is over.
// Promises an end by that time (and a second for the last attempt), at least one attempt, and a `detail` that says what was seen and what was expected, without secrets.
import type { Config, ProbeConfig } from '../model/config.ts';
import { messageOf } from '../model/failure.ts';
import type { Clock, ProbeRunner, ServiceControl } from '../model/ports.ts';
import type { ProbeReport } from '../model/run.ts';
import { attempt } from './registry.ts';

export interface ProbeRunnerOptions {
  readonly config: Pick<Config, 'root' | 'databases' | 'services'>;
  /** At services, for the probes that ask how one is. */
  readonly look: ServiceControl['look'];
  readonly clock: Clock;
  readonly scrub: (text: string) => string;
}

const backoff = { firstMs: 100, factor: 2, mostMs: 2_000 };
/**
 * An attempt gets a third of the time, or the usual if that is more, so that one answer that never comes does not use up all of it.
 * The last one, made at the deadline, gets the least: cut off at once, it would hide what the attempts before it saw.
 */
const attemptMs = { usual: 5_000, least: 1_000 };

export function createProbeRunner({ config, look, clock, scrub }: ProbeRunnerOptions): ProbeRunner {
  async function run(probe: ProbeConfig, signal?: AbortSignal): Promise<ProbeReport> {
    const started = clock.monotonic();
    const deadline = started + probe.withinMs;
    const settled = (status: ProbeReport['status'], attempts: number, detail?: string): ProbeReport => ({
      name: probe.name,
      status,
      attempts,
      durationMs: Math.round(clock.monotonic() - started),
      ...(detail === undefined ? {} : { detail: scrub(detail) }),
    });

    for (let attempts = 1, pause = backoff.firstMs; ; attempts += 1, pause = Math.min(pause * backoff.factor, backoff.mostMs)) {
      if (signal?.aborted === true) return settled('failed', attempts - 1, 'the run was cancelled before it passed');
      const share = Math.max(attemptMs.usual, probe.withinMs / 3);
      const limitMs = Math.max(attemptMs.least, Math.min(deadline - clock.monotonic(), share));
      const seen = await once(probe, limitMs, signal);
      if (seen === null) return settled('passed', attempts);
      const now = clock.monotonic();
      if (now >= deadline) return settled('failed', attempts, seen);
      // The last attempt is made at the deadline, not some time before it.
      await clock.sleep(Math.min(pause, deadline - now), signal).catch(() => undefined);
    }
  }

  async function once(probe: ProbeConfig, limitMs: number, signal: AbortSignal | undefined): Promise<string | null> {
    const timeout = AbortSignal.timeout(Math.ceil(limitMs));
    const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    try {
      return await attempt(probe, { config, look, signal: both, limitMs });
    } catch (error) {
      return timeout.aborted ? `no answer within ${(limitMs / 1000).toFixed(1)} s` : messageOf(error);
    }
  }

  return { run };
}
