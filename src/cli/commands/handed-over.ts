// `upgrade --handed-over FILE`: runs the plan that another process handed over. Nobody calls it by hand.
import { failuresOf } from '../../model/failure.ts';
import type { ResultDocument } from '../../model/run.ts';
import { answerHandover, readHandover, removeHandover, takeHandover } from '../../session/handover.ts';
import { UpdateManager } from '../../update-manager.ts';
import { become } from '../become.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';
import { runAndReport } from './upgrade.ts';

// A unit begins with its manager's environment, and some of the caller's counts from the first moment on (NODE_OPTIONS, certificates).
const mark = 'RUNGS_HANDED_OVER';

export async function runHandedOver(file: string, flags: CommonFlags, terminal: Terminal): Promise<number> {
  if (terminal.env[mark] !== file) {
    const { env, umask } = readHandover(file);
    process.umask(umask);
    return become(
      { file: process.execPath, argv: [process.execPath, ...process.execArgv, ...process.argv.slice(1)] },
      { ...env, [mark]: file },
    );
  }
  // Not for steps to inherit.
  delete process.env[mark];
  try {
    const { runId, config, root, plan, configEnv } = takeHandover(file);
    const manager = await UpdateManager.open({ config, root, ...(configEnv === null ? {} : { env: configEnv }) });
    terminal.opened.manager = manager;
    manager.on('event', ({ type }) => {
      // From here on the journal tells the caller everything.
      if (type === 'run-started') removeHandover(file);
    });
    const run = async (signal: AbortSignal): Promise<ResultDocument> => {
      const result = await manager.run(plan, { signal, runId });
      if (result.runId === null && result.failure !== null) answerHandover(file, [result.failure]);
      return result;
    };
    return await runAndReport(manager, flags, terminal, run, plan);
  } catch (error) {
    answerHandover(file, failuresOf(error));
    throw error;
  }
}
