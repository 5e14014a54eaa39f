// The `ServiceControl` port over controllers of every kind: finds the controller, waits, joins what engines order, and scrubs what leaves.
// Emits nothing: the phases know what an action is for, and tell of it.
import type { Config, ServiceConfig } from '../model/config.ts';
import { UpgradeError } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';
import type { Clock, ServiceControl, ServiceEdge } from '../model/ports.ts';
import { lookAt } from './look.ts';
import { controllerOf, reloadEngines } from './registry.ts';
import type { EngineOrdering, ServiceController } from './registry.ts';
import { waitUntilWell } from './wait-until-well.ts';

export interface ServiceControlOptions {
  readonly config: Pick<Config, 'root' | 'state'>;
  readonly clock: Clock;
  readonly scrub: (text: string) => string;
}

/** An engine that takes longer to say what it orders is taken to have no say. */
const orderingMs = 10_000;

export function createServiceControl({ config, clock, scrub }: ServiceControlOptions): ServiceControl {
  const context = { root: config.root, state: config.state, clock };
  // One for each service, so that a controller may keep what it knows of its engine.
  const made = new Map<ServiceConfig, Promise<ServiceController>>();
  const controller = (service: ServiceConfig): Promise<ServiceController> => {
    const known = made.get(service) ?? controllerOf(service, context);
    made.set(service, known);
    return known;
  };
  const scrubbed = (failure: Failure): Failure => ({
    ...failure,
    message: scrub(failure.message),
    hint: scrub(failure.hint),
    ...(failure.log === undefined ? {} : { log: failure.log.map(scrub) }),
  });
  const scrubbing = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw error instanceof UpgradeError ? new UpgradeError(error.failures.map(scrubbed), { cause: error }) : error;
    }
  };
  const guarded = <T>(service: ServiceConfig, work: (of: ServiceController) => Promise<T>): Promise<T> =>
    scrubbing(async () => work(await controller(service)));

  return {
    inspect: (service, signal) => guarded(service, (of) => of.inspect(signal)),
    restart: (service, signal) => guarded(service, (of) => of.restart(signal)),
    stop: (service, signal) => guarded(service, (of) => of.stop(signal)),
    start: (service, signal, before) => guarded(service, (of) => of.start(signal, before)),
    putBack: (service, before, signal) => guarded(service, async (of) => of.putBack?.(before, signal)),
    reload: (services, signal) => scrubbing(() => reloadEngines(services, context, signal)),
    look: (service, limitMs, signal) =>
      guarded(service, async (of) => {
        const sight = await lookAt(of, limitMs, signal);
        return sight.account === null ? sight : { ...sight, account: scrub(sight.account) };
      }),
    async order(services, signal) {
      const known = await Promise.all(
        services.map(async (service) => ({ service, ordering: await orderingOf(await controller(service), signal) })),
      );
      const byName = new Map(known.flatMap(({ service, ordering }) => ordering.names.map((name) => [name, service.name] as const)));
      return known.flatMap(({ service, ordering }) => [
        ...service.after.map((after): ServiceEdge => ({ service: service.name, after, source: null })),
        ...ordering.after.flatMap(({ name, source }): readonly ServiceEdge[] => {
          const after = byName.get(name);
          return after === undefined || after === service.name ? [] : [{ service: service.name, after, source }];
        }),
      ]);
    },
    lastOutput: async (service) => {
      const lines = await controller(service).then(
        (of) => of.lastOutput(),
        () => [],
      );
      return lines.map(scrub);
    },
    async waitUntilWell(service, { before, signal }) {
      const report = await waitUntilWell(await controller(service), service, { before, signal, clock });
      return report.failure === undefined ? report : { ...report, failure: scrubbed(report.failure) };
    },
  };
}

/** What fails here fails again, with its reason, as soon as the service is touched. */
async function orderingOf(controller: ServiceController, signal?: AbortSignal): Promise<EngineOrdering> {
  const limit = AbortSignal.timeout(orderingMs);
  const asked = controller.ordering?.(signal === undefined ? limit : AbortSignal.any([signal, limit]));
  return (await asked?.catch(() => undefined)) ?? { names: [], after: [] };
}
