// Restarts the services that the applied steps name, in dependency order, and starts again those that were stopped.
// Given the plan and what the services were before; promises that each one is a new process and stays well. Only what ran before is started.
import { UpgradeError } from '../src/model/failure.ts';
import { stepsOf } from '../src/model/plan.ts';
import type { Images, Ports, Replacements, RunContext, ServiceState, WellReport } from '../src/model/ports.ts';
import type { ServiceConfig } from '../src/model/config.ts';
import { servicesToRestart } from '../src/model/service-order.ts';
import { checkNotCancelled } from './cancelling.ts';
import { planReplacements, replacementsOf } from './images.ts';
import { inOrder } from './in-order.ts';
import { startOrder } from './stopping.ts';

type Needs = Pick<Ports, 'journal' | 'events' | 'services'>;
/** A restore by hand has both too. */
type Run = Pick<RunContext, 'id' | 'config'>;

export async function restart(ports: Needs & Pick<Ports, 'images'>, run: RunContext): Promise<void> {
  const named = servicesToRestart(stepsOf(run.plan), run.config);
  const stopped = Object.values(run.config.services).filter(({ stopDuringUpgrade }) => stopDuringUpgrade);
  // Steps may have changed unit files, and with them what comes after what.
  await ports.services.reload(Object.values(run.config.services), run.signal);
  const replaced = Object.keys(await planReplacements(ports, run));
  const wanted = new Set([...named, ...stopped.map(({ name }) => name), ...replaced]);
  await restartServices(ports, run, wanted, { key: 'restart', signal: run.signal, images: ports.images });
}

/**
 * Each as soon as those that it comes after are well. Throws the failures of all services that are not. To put services back is to try all
 * of them, whatever becomes of the others; forwards, nothing more is begun after a failure.
 */
export async function restartServices(
  ports: Needs,
  run: Run,
  wanted: ReadonlySet<string>,
  { key, signal, images }: { readonly key: 'restart' | 'put-back'; readonly signal?: AbortSignal; readonly images?: Images },
): Promise<void> {
  const goesOn = key === 'put-back';
  const byName = run.config.services;
  const before = await ports.journal.servicesBefore(run.id);
  const replacements = (await replacementsOf(ports, run.id)) ?? {};
  const order = await startOrder(ports, withShared(run, replacements), [...wanted], { signal, isForced: goesOn });
  const turnOver = async (name: string): Promise<void> => {
    const service = byName[name];
    if (service === undefined) return;
    if (signal !== undefined) checkNotCancelled(signal);
    const { identity: _, ...report }: WellReport =
      images !== undefined && replacements[name] !== undefined
        ? await recreateOne({ ...ports, images }, run, service, replacements, { beforeRun: before[name], signal })
        : await restartOne(ports, run, service, before[name], key, signal);
    ports.events.emit({ type: 'service-settled', report });
    if (report.failure !== undefined) throw new UpgradeError([report.failure]);
  };
  await inOrder(order, turnOver, { limit: run.config.parallelRestarts, goesOn });
}

/** The engine knows who shares whose network by ids, which change while containers are made again: what was recorded counts. */
function withShared(run: Run, replacements: Replacements): Run {
  const services = Object.entries(run.config.services).map(([name, service]) => {
    const shared = (replacements[name]?.after ?? []).filter((other) => !service.after.includes(other));
    return [name, { ...service, after: [...service.after, ...shared] }];
  });
  return { ...run, config: { ...run.config, services: Object.fromEntries(services) } };
}

/** Its container is made again, which is a restart too. Every attempt asks for it: what is done already is left alone. */
async function recreateOne(
  { journal, events, services, images }: Needs & Pick<Ports, 'images'>,
  run: Run,
  service: ServiceConfig,
  replacements: Replacements,
  { beforeRun, signal }: { readonly beforeRun: ServiceState | undefined; readonly signal: AbortSignal | undefined },
): Promise<WellReport> {
  const { name } = service;
  const cancel = signal === undefined ? {} : { signal };
  const image = replacements[name]?.image.image ?? '';
  const isStarted = beforeRun?.isRunning === true;
  const key = `restart:${name}`;
  if (!(await journal.effects(run.id)).some((known) => known.key === key)) await journal.intend(run.id, key, beforeRun ?? null);
  events.emit({ type: 'service', service: name, action: 'recreating' });
  await images.replace(name, replacements, { runId: run.id, isStarted, ...cancel });
  if (!isStarted) return { name, status: 'not-restarted', durationMs: 0, image, why: 'it did not run before the upgrade' };
  events.emit({ type: 'service', service: name, action: 'waiting' });
  // The new container's identity is new whatever the old one's was.
  const report = { ...(await services.waitUntilWell(service, { before: null, ...cancel })), image };
  if (report.failure === undefined) await journal.settle(run.id, key, report);
  return report;
}

async function restartOne(
  { journal, events, services }: Needs,
  run: Run,
  service: ServiceConfig,
  beforeRun: ServiceState | undefined,
  key: string,
  signal: AbortSignal | undefined,
): Promise<WellReport> {
  const cancel = signal === undefined ? {} : { signal };
  if (beforeRun?.isRunning !== true)
    return { name: service.name, status: 'not-restarted', durationMs: 0, why: 'it did not run before the upgrade' };
  const effect = (await journal.effects(run.id)).find((known) => known.key === `${key}:${service.name}`);
  if (effect?.isSettled === true && (await services.inspect(service)).isRunning) return effect.outcome as WellReport;
  // The identity before tells a real restart from a command that only returned 0. After a kill it is the one that was recorded.
  const now = await services.inspect(service);
  const before = effect === undefined ? now : (effect.intent as ServiceState);
  if (effect === undefined) await journal.intend(run.id, `${key}:${service.name}`, before);
  const turnOver = async (): Promise<WellReport> => {
    const { isRunning } = await services.inspect(service);
    events.emit({ type: 'service', service: service.name, action: isRunning ? 'restarting' : 'starting' });
    await (isRunning ? services.restart(service, signal) : services.start(service, signal, beforeRun));
    return wait();
  };
  const wait = (): Promise<WellReport> => {
    events.emit({ type: 'service', service: service.name, action: 'waiting' });
    return services.waitUntilWell(service, { before: before.isRunning ? before : null, ...cancel });
  };
  let report = isNewProcess(before, now) ? await wait() : await turnOver();
  // An earlier attempt restarted it and it did not become well: it gets one more chance of its own.
  if (report.failure !== undefined && isNewProcess(before, now)) report = await turnOver();
  if (report.failure === undefined) await journal.settle(run.id, `${key}:${service.name}`, report);
  return report;
}

function isNewProcess(before: ServiceState, now: ServiceState): boolean {
  return now.isRunning && now.identity !== null && now.identity !== before.identity;
}
