// A scratch installation with a real little daemon, for the tests of services.
import { mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServiceConfig } from '../../../src/model/config.ts';
import type { ServiceControl } from '../../../src/model/ports.ts';
import { processIdentity } from '../../../src/services/command/process-identity.ts';
import { createServiceControl } from '../../../src/services/service-control.ts';
import { systemClock } from '../../../src/system-clock.ts';

export type CommandService = Extract<ServiceConfig, { kind: 'command' }>;

export const ctl = fileURLToPath(new URL('../../fixtures/services/ctl', import.meta.url));

export interface Installation {
  readonly root: string;
  readonly control: ServiceControl;
  readonly service: (over?: Partial<Omit<CommandService, 'commands'>>, commands?: Partial<CommandService['commands']>) => CommandService;
  readonly pid: () => Promise<number>;
  readonly log: () => Promise<string>;
  readonly remove: () => Promise<void>;
}

export function commandService(
  over: Partial<Omit<CommandService, 'commands'>> = {},
  commands: Partial<CommandService['commands']> = {},
): CommandService {
  return {
    kind: 'command',
    name: 'api',
    after: [],
    stopDuringUpgrade: false,
    timeoutMs: 10_000,
    stableForMs: 200,
    pidFile: null,
    ...over,
    commands: { restart: [ctl, 'restart'], stop: [ctl, 'stop'], start: [ctl, 'start'], health: [ctl, 'health'], status: null, ...commands },
  };
}

export async function makeInstallation(scrub: (text: string) => string = (text) => text): Promise<Installation> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'rungs-services-')));
  const pid = async () => Number(await readFile(join(root, 'daemon.pid'), 'utf8'));
  return {
    root,
    control: createServiceControl({ config: { root, state: join(root, '.upgrade') }, clock: systemClock, scrub }),
    service: (over = {}, commands = {}) => commandService({ pidFile: join(root, 'daemon.pid'), ...over }, commands),
    pid,
    log: () => readFile(join(root, '.upgrade/services/api.log'), 'utf8'),
    async remove() {
      const running = await pid().catch(() => null);
      if (running !== null && (await isAlive(running))) process.kill(running, 'SIGKILL');
      await rm(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    },
  };
}

/** Not by `kill -0`: a zombie that nobody has waited for yet is dead too. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await processIdentity(pid)) !== null;
}
