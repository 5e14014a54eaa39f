// How the services of the config are at this moment, for `upgrade status`. Loads nothing where there are none, and waits for none longer than a moment.
import type { Config } from '../model/config.ts';
import { failuresOf } from '../model/failure.ts';
import type { ServiceSight } from '../model/ports.ts';

export interface ServiceStatus {
  readonly name: string;
  readonly kind: string;
  /** `unknown`: its engine could not be asked. */
  readonly status: ServiceSight['status'] | 'unknown';
  /** What is wrong, to follow the name. */
  readonly account: string | null;
}

const lookMs = 2_000;

export async function serviceStatuses(config: Config): Promise<readonly ServiceStatus[]> {
  const all = Object.values(config.services);
  if (all.length === 0) return [];
  const [{ createServiceControl }, { createScrubber }, { systemClock }] = await Promise.all([
    import('../services/service-control.ts'),
    import('../report/scrub.ts'),
    import('../system-clock.ts'),
  ]);
  const { look } = createServiceControl({ config, clock: systemClock, scrub: createScrubber(config.secrets) });
  return Promise.all(
    all.map(async (service) => {
      const { name, kind } = service;
      try {
        const { status, account } = await look(service, lookMs);
        return { name, kind, status, account };
      } catch (error) {
        return { name, kind, status: 'unknown' as const, account: failuresOf(error)[0]?.message ?? null };
      }
    }),
  );
}
