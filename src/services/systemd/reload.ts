// Makes systemd read its unit files again, once for each scope.
// Always, not only where `NeedDaemonReload` says so: systemd takes notice of files that are newer than what it has read, and a file that was
// restored, or unpacked with its times, is older.
import { fail } from '../../model/failure.ts';
import type { ControllerContext, ServiceOf } from '../registry.ts';
import { systemctl } from './systemctl.ts';

/** Takes long on a machine with many units. */
const reloadMs = 60_000;

export async function reloadUnits(
  services: readonly ServiceOf<'systemd'>[],
  { clock }: ControllerContext,
  signal?: AbortSignal,
): Promise<void> {
  for (const scope of new Set(services.map((service) => service.scope))) {
    const { end, exitCode, lines } = await systemctl(['daemon-reload'], { scope, clock, timeoutMs: reloadMs, signal });
    if (end !== 'exited' || exitCode !== 0) throw fail('SYSTEMD_RELOAD_FAILED', { scope }, { log: lines });
  }
}
