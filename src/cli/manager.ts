// Opens the installation that the flags name.
import { UpdateManager } from '../update-manager.ts';
import type { CommonFlags, RunFlags } from './flags.ts';
import type { Terminal } from './terminal.ts';

export type PlanFlags = Pick<RunFlags, 'from' | 'to' | 'allowDowngrade' | 'outOfOrder' | 'acceptChecksum'>;

export async function openManager({ config, root }: CommonFlags, terminal: Terminal): Promise<UpdateManager> {
  const { cwd, env, opened } = terminal;
  const manager = await UpdateManager.open({
    cwd,
    env,
    ...(config === undefined ? {} : { config }),
    ...(root === undefined ? {} : { root }),
  });
  opened.manager = manager;
  if (env.NOTIFY_SOCKET !== undefined || env.JOURNAL_STREAM !== undefined) {
    const [{ createSystemdListener }, { createScrubber }] = await Promise.all([
      import('../report/systemd.ts'),
      import('../report/scrub.ts'),
    ]);
    const listener = createSystemdListener({ env, scrub: createScrubber(manager.config.secrets) });
    if (listener !== null) manager.on('event', listener);
  }
  return manager;
}
