// Services that systemd runs: units of the system or of a user, of every type that can be started.
import type { KindOfService } from '../registry.ts';
import { createSystemdController } from './controller.ts';
import { systemdFindings } from './findings.ts';
import { reloadUnits } from './reload.ts';

export const systemd: KindOfService<'systemd'> = {
  create: createSystemdController,
  findings: systemdFindings,
  reload: reloadUnits,
};
