// One look at a service: whether it runs and is healthy, and what is wrong where it is not.
import type { ServiceSight } from '../model/ports.ts';
import type { ServiceController } from './registry.ts';

export async function lookAt(controller: ServiceController, limitMs: number, signal?: AbortSignal): Promise<ServiceSight> {
  const limit = AbortSignal.timeout(Math.ceil(limitMs));
  const both = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  const { isRunning, identity } = await controller.inspect(both);
  if (!isRunning) return { status: 'stopped', identity: null, account: 'does not run' };
  const health = await controller.health(limitMs, both);
  if (health.state === 'unhealthy') return { status: 'unhealthy', identity, account: `"${health.asked}" ${health.account}` };
  return { status: health.state === 'healthy' ? 'healthy' : 'running', identity, account: null };
}
