// One look at a service: whether it runs and is healthy, and what is wrong where it is not. Promises an end within `limitMs`.
import type { ServiceSight } from '../model/ports.ts';
import type { ServiceController } from './registry.ts';

export async function lookAt(controller: ServiceController, limitMs: number, signal?: AbortSignal): Promise<ServiceSight> {
  const limit = AbortSignal.timeout(Math.ceil(limitMs));
  const both = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  const late: ServiceSight = { status: 'unhealthy', identity: null, account: `gave no answer within ${limitMs / 1000} s` };
  const over = new Promise<ServiceSight>((resolve) => both.addEventListener('abort', () => resolve(late), { once: true }));
  const seen = await Promise.race([look(controller, limitMs, both), over]);
  return limit.aborted ? late : seen;
}

async function look(controller: ServiceController, limitMs: number, signal: AbortSignal): Promise<ServiceSight> {
  const { isRunning, identity, ended } = await controller.inspect(signal);
  if (!isRunning) return { status: 'stopped', identity: null, account: ended ?? 'does not run' };
  const health = await controller.health(limitMs, signal);
  if (health.state === 'unhealthy') return { status: 'unhealthy', identity, account: `"${health.asked}" ${health.account}` };
  return { status: health.state === 'healthy' ? 'healthy' : 'running', identity, account: null };
}
