// The `ServiceControl` port over controllers of every kind: finds the controller, waits, and scrubs what leaves.
// Emits nothing: the phases know what an action is for, and tell of it.
import type { Config, ServiceConfig } from '../model/config.ts';
import { UpgradeError } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';
import type { Clock, ServiceControl } from '../model/ports.ts';
import { controllerOf } from './registry.ts';
import { waitUntilWell } from './wait-until-well.ts';

export interface ServiceControlOptions {
  readonly config: Pick<Config, 'root' | 'state'>;
  readonly clock: Clock;
  readonly scrub: (text: string) => string;
}

export function createServiceControl({ config, clock, scrub }: ServiceControlOptions): ServiceControl {
  const controller = (service: ServiceConfig) => controllerOf(service, { root: config.root, state: config.state, clock });
  const scrubbed = (failure: Failure): Failure => ({
    ...failure,
    message: scrub(failure.message),
    hint: scrub(failure.hint),
    ...(failure.log === undefined ? {} : { log: failure.log.map(scrub) }),
  });
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw error instanceof UpgradeError ? new UpgradeError(error.failures.map(scrubbed), { cause: error }) : error;
    }
  };

  return {
    inspect: (service) => guarded(() => controller(service).inspect()),
    restart: (service, signal) => guarded(() => controller(service).restart(signal)),
    stop: (service, signal) => guarded(() => controller(service).stop(signal)),
    start: (service, signal) => guarded(() => controller(service).start(signal)),
    async waitUntilWell(service, { before, signal }) {
      const report = await waitUntilWell(controller(service), service, { before, signal, clock });
      return report.failure === undefined ? report : { ...report, failure: scrubbed(report.failure) };
    },
  };
}
