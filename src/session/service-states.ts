// What runs now, and how the probes of the last run ended. Changes nothing; a service that cannot be asked in time is told with the reason.
import type { Config } from '../model/config.ts';
import { fail, failuresOf, type Failure } from '../model/failure.ts';
import type { ServiceControl } from '../model/ports.ts';
import type { ProbeReport } from '../model/run.ts';
import { readJournal } from './journals.ts';

export interface ServicesReport {
  readonly services: readonly {
    readonly name: string;
    readonly kind: string;
    readonly isRunning: boolean | null;
    readonly problem: Failure | null;
  }[];
  readonly probes: readonly {
    readonly name: string;
    readonly kind: string;
    readonly status: ProbeReport['status'] | null;
    readonly detail: string | null;
    readonly runId: string | null;
  }[];
}

const askWithinMs = 5_000;
// Further back nothing is worth showing.
const runsLookedAt = 20;

export async function serviceStates(config: Config, control: ServiceControl): Promise<ServicesReport> {
  const services = await Promise.all(
    Object.values(config.services).map(async (service) => {
      const { name, kind } = service;
      try {
        const { isRunning } = await within(control.inspect(service), name);
        return { name, kind, isRunning, problem: null };
      } catch (error) {
        return { name, kind, isRunning: null, problem: failuresOf(error)[0] ?? null };
      }
    }),
  );
  const last = await lastProbes(config);
  return {
    services,
    probes: config.verify.map(({ name, kind }) => {
      const found = last?.probes.find((probe) => probe.name === name);
      return {
        name,
        kind,
        status: found?.status ?? null,
        detail: found?.detail ?? null,
        runId: found === undefined ? null : (last?.runId ?? null),
      };
    }),
  };
}

async function within<T>(answer: Promise<T>, service: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(fail('SERVICE_SILENT', { service, timeoutMs: askWithinMs })), askWithinMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function lastProbes(config: Config): Promise<{ readonly runId: string; readonly probes: readonly ProbeReport[] } | null> {
  if (config.verify.length === 0) return null;
  const runs = await readJournal(config, async (journal) => (await journal?.runs(runsLookedAt)) ?? []);
  const run = runs.find(({ result }) => (result?.probes.length ?? 0) > 0);
  return run === undefined ? null : { runId: run.id, probes: run.result?.probes ?? [] };
}
