// One controller per kind of service, loaded only where a service is of that kind. A new kind is a folder and one case here.
import type { ServiceConfig } from '../model/config.ts';
import type { Finding } from '../model/plan.ts';
import type { Clock, ServiceState } from '../model/ports.ts';

export type ServiceKind = ServiceConfig['kind'];
export type ServiceOf<K extends ServiceKind> = Extract<ServiceConfig, { readonly kind: K }>;

/** One service, as its kind sees it. Waiting, stability, events and scrubbing are the same for all and live in `service-control.ts`. */
export interface ServiceController {
  /** With `kept`, where putting it back needs more than starting and stopping. */
  inspect(signal?: AbortSignal): Promise<ServiceState>;
  /** Each throws when the command, or the daemon behind it, refuses; none waits until the service is well. */
  restart(signal?: AbortSignal): Promise<void>;
  stop(signal?: AbortSignal): Promise<void>;
  start(signal?: AbortSignal, before?: ServiceState): Promise<void>;
  /** One look, over within `limitMs`. `unknown` where the service has nothing that tells. */
  health(limitMs: number, signal?: AbortSignal): Promise<Health>;
  /** The last lines that the service or its commands wrote. */
  lastOutput(): Promise<readonly string[]>;
  /** Whether anything at all tells that the service runs. */
  readonly isObservable: boolean;
  /** Restores what starting and stopping do not, from `before.kept`. Safe to repeat. */
  putBack?(before: ServiceState, signal?: AbortSignal): Promise<void>;
  /**
   * Calls `onEvent` whenever the engine tells that the service may have changed, until `signal` is aborted. May end, or never call: the
   * service is looked at now and then all the same.
   */
  watch?(onEvent: () => void, signal: AbortSignal): Promise<void>;
  /** What the engine orders by itself. */
  ordering?(signal?: AbortSignal): Promise<EngineOrdering>;
}

/** Names are the engine's, with the engine before them, so that those of two engines never meet: `systemd:user:api.service`, `compose:shop:db`. */
export interface EngineOrdering {
  /** What the engine knows this service by. */
  readonly names: readonly string[];
  /** What it starts before this service. Names that no service of the config has are nobody's concern. */
  readonly after: readonly { readonly name: string; readonly source: string }[];
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

/** What one kind gives. */
export interface KindOfService<K extends ServiceKind> {
  readonly create: (service: ServiceOf<K>, context: ControllerContext) => ServiceController;
  /** What speaks against controlling these services, and what is to be known of the engine behind them. All at once; reads only, starts nothing. */
  readonly findings: (services: readonly ServiceOf<K>[], context: ControllerContext) => Promise<readonly Finding[]>;
  /** Makes their engine read again what was changed on disk. Safe to repeat. */
  readonly reload?: (services: readonly ServiceOf<K>[], context: ControllerContext, signal?: AbortSignal) => Promise<void>;
}

export const serviceKinds = ['command', 'systemd', 'docker', 'compose'] as const satisfies readonly ServiceKind[];

/** A switch, because it is what makes the compiler see that the service is of the controller's kind. */
export async function controllerOf(service: ServiceConfig, context: ControllerContext): Promise<ServiceController> {
  switch (service.kind) {
    case 'command':
      return (await import('./command/kind.ts')).command.create(service, context);
    case 'systemd':
      return (await import('./systemd/kind.ts')).systemd.create(service, context);
    case 'docker':
      return (await import('./docker/kind.ts')).docker.create(service, context);
    case 'compose':
      return (await import('./docker/kind.ts')).compose.create(service, context);
  }
}

/** Engines that keep what they read from disk. */
export async function reloadEngines(services: readonly ServiceConfig[], context: ControllerContext, signal?: AbortSignal): Promise<void> {
  const units = services.filter((service) => service.kind === 'systemd');
  if (units.length > 0) await (await import('./systemd/kind.ts')).systemd.reload?.(units, context, signal);
}
