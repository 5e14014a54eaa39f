// One controller per kind of service. A new kind is one file and one line here; until then the preflight refuses configs that use it.
import type { ServiceConfig } from '../model/config.ts';
import { fail } from '../model/failure.ts';
import type { Clock, ServiceState } from '../model/ports.ts';
import { createCommandController } from './command-controller.ts';

export type ServiceKind = ServiceConfig['kind'];
export type ServiceOf<K extends ServiceKind> = Extract<ServiceConfig, { readonly kind: K }>;

/** One service, as its kind sees it. Waiting, stability, events and scrubbing are the same for all and live in `service-control.ts`. */
export interface ServiceController {
  inspect(signal?: AbortSignal): Promise<ServiceState>;
  /** Each throws when the command, or the daemon behind it, refuses; none waits until the service is well. */
  restart(signal?: AbortSignal): Promise<void>;
  stop(signal?: AbortSignal): Promise<void>;
  start(signal?: AbortSignal): Promise<void>;
  /** One look, over within `limitMs`. `unknown` where the service has nothing that tells. */
  health(limitMs: number, signal?: AbortSignal): Promise<Health>;
  /** The last lines that the service or its commands wrote. */
  lastOutput(): Promise<readonly string[]>;
  /** Whether anything at all tells that the service runs. */
  readonly isObservable: boolean;
}

export type Health =
  | { readonly state: 'healthy' | 'unknown' }
  /** What was asked and what came of it: `bin/proxy health`, `exited with 1`. */
  | { readonly state: 'unhealthy'; readonly asked: string; readonly account: string; readonly log: readonly string[] };

export interface ControllerContext {
  /** Installation root and state folder, absolute. */
  readonly root: string;
  readonly state: string;
  readonly clock: Clock;
}

type Controllers = { readonly [K in ServiceKind]: ((service: ServiceOf<K>, context: ControllerContext) => ServiceController) | null };

export const controllers: Controllers = {
  command: createCommandController,
  systemd: null,
  docker: null,
  compose: null,
};

/** Throws SERVICE_KIND_UNSUPPORTED. */
export function controllerOf(service: ServiceConfig, context: ControllerContext): ServiceController {
  const controller = bind(service, context);
  if (controller === undefined) throw fail('SERVICE_KIND_UNSUPPORTED', { service: service.name, kind: service.kind });
  return controller;
}

/** A switch, because it is what makes the compiler see that the service is of the controller's kind. */
function bind(service: ServiceConfig, context: ControllerContext): ServiceController | undefined {
  switch (service.kind) {
    case 'command':
      return controllers.command?.(service, context);
    case 'systemd':
      return controllers.systemd?.(service, context);
    case 'docker':
      return controllers.docker?.(service, context);
    case 'compose':
      return controllers.compose?.(service, context);
  }
}
