// What can be told of units without touching them: whether systemd answers, whether we may ask it to act, and which units it cannot restart.
import { failure, failuresOf } from '../../model/failure.ts';
import type { Finding } from '../../model/plan.ts';
import type { Clock } from '../../model/ports.ts';
import { finding } from '../finding.ts';
import type { ControllerContext, ServiceOf } from '../registry.ts';
import { showUnit } from './shown-unit.ts';
import { systemctl, type Scope } from './systemctl.ts';
import { fullUnitName } from './unit-name.ts';

type Service = ServiceOf<'systemd'>;

/** The first that gives a unit an InvocationID, without which a restart cannot be proven. */
const leastVersion = 232;
const askMs = 10_000;

export async function systemdFindings(services: readonly Service[], { clock }: ControllerContext): Promise<readonly Finding[]> {
  const scopes = [...new Set(services.map(({ scope }) => scope))];
  const found = await Promise.all(
    scopes.map(async (scope) => {
      const engine = await scopeFindings(scope, clock);
      if (engine.some(({ level }) => level === 'block')) return engine;
      const units = services.filter((service) => service.scope === scope).map(async (service) => unitFindings(service, services, clock));
      return [...engine, ...(await Promise.all(units)).flat()];
    }),
  );
  return found.flat();
}

async function scopeFindings(scope: Scope, clock: Clock): Promise<readonly Finding[]> {
  try {
    const { stdout, exitCode, lines } = await systemctl(['show', '--property=Version'], { scope, clock, timeoutMs: askMs });
    const version = /Version=(\S+)/.exec(stdout)?.[1];
    if (exitCode !== 0 || version === undefined)
      return [finding('block', failure('SYSTEMD_UNREACHABLE', { scope, account: lines.at(-1) ?? 'it gave no version' }))];
    const found = [finding('info', failure('SYSTEMD_FOUND', { scope, version }))];
    if ((/\d+/.exec(version)?.[0] ?? '') !== '' && Number(/\d+/.exec(version)?.[0]) < leastVersion)
      found.push(finding('block', failure('SYSTEMD_TOO_OLD', { version, least: leastVersion })));
    // Whether polkit lets us is found out only by acting.
    if (scope === 'system' && process.getuid?.() !== 0) found.push(finding('warn', failure('SYSTEMD_NEEDS_RIGHTS', {})));
    return found;
  } catch (error) {
    return failuresOf(error).map((problem) => finding('block', problem));
  }
}

async function unitFindings(service: Service, all: readonly Service[], clock: Clock): Promise<readonly Finding[]> {
  const { name, scope, stopDuringUpgrade } = service;
  const unit = fullUnitName(service.unit);
  try {
    const { load, loadError, active, triggeredBy, enabled } = await showUnit(unit, scope, clock);
    if (load === 'not-found') return [finding('warn', failure('SYSTEMD_UNIT_UNKNOWN', { service: name, unit, scope }))];
    // What is masked cannot be started again; what does not run need not be.
    if ((load === 'masked' || enabled.startsWith('masked')) && active === 'active')
      return [finding('block', failure('SYSTEMD_UNIT_MASKED', { service: name, unit, scope }))];
    if (load !== 'loaded' && load !== 'masked')
      return [
        finding('block', failure('SYSTEMD_UNIT_BROKEN', { service: name, unit, scope, problem: loadError === '' ? load : loadError })),
      ];
    if (!stopDuringUpgrade || active === 'active') return [];
    // One that runs is stopped together with what starts it; one that does not is left alone, and may be started in the middle.
    const isStopped = (other: string) =>
      all.some((one) => one.scope === scope && one.stopDuringUpgrade && fullUnitName(one.unit) === other);
    const open = triggeredBy.filter((other) => !isStopped(other));
    return open.length === 0 ? [] : [finding('warn', failure('SYSTEMD_UNIT_MAY_START', { service: name, unit, triggers: open }))];
  } catch (error) {
    return failuresOf(error).map((problem) => finding('block', problem));
  }
}
