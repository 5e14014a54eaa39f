// Wires the adapters for one installation. Part of the composition root: nothing else makes adapters.
import { createBackupStore } from '../backup/store.ts';
import { createDatabases } from '../databases/check.ts';
import type { Config } from '../model/config.ts';
import type { BackupStore, Clock, Ports } from '../model/ports.ts';
import { createProbeRunner } from '../probes/probe-runner.ts';
import { createScrubber } from '../report/scrub.ts';
import { createImages } from '../services/docker/images.ts';
import { createServiceControl } from '../services/service-control.ts';
import { systemClock } from '../system-clock.ts';
import { openInstallation } from './journals.ts';

/** What can be used without the lock: all of it only reads until it is told to change something. */
export type ReadingPorts = Pick<
  Ports,
  'backups' | 'databases' | 'services' | 'images' | 'probes' | 'installation' | 'oldRecords' | 'clock'
>;

export function createAdapters(config: Config): ReadingPorts {
  const scrub = createScrubber(config.secrets);
  const clock = systemClock;
  const services = createServiceControl({ config, clock, scrub });
  return {
    clock,
    backups: createBackups(config, clock),
    databases: createDatabases(config),
    services,
    images: createImages(config, clock),
    probes: createProbeRunner({ config, look: services.look, clock, scrub }),
    installation: openInstallation(config),
    // Loaded by the few that need it.
    oldRecords: { write: async (climbs) => (await import('./write-back.ts')).writeBack(config, climbs) },
  };
}

/** `identities`: files with keys for encrypted backups. */
export function createBackups(config: Config, clock: Clock, identities: readonly string[] = []): BackupStore {
  return createBackupStore({ config, clock, excludeAlways: pidFiles(config), identities, scrub: createScrubber(config.secrets) });
}

/** A PID file that is set back names a process that is long gone, or somebody else's. */
function pidFiles(config: Config): readonly string[] {
  return Object.values(config.services).flatMap((service) =>
    service.kind === 'command' && service.pidFile !== null ? [service.pidFile] : [],
  );
}
