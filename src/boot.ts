// `migrateOnBoot()`: what `upgrade boot` does, for an application that calls it before it starts to serve. Promises that whoever awaits it with
// `onFailure: 'stop'` never goes on with an installation that is not up to date, and that the process is never ended.
import type { UpgradeEvent } from './model/event.ts';
import { failuresOf, UpgradeError, type Failure } from './model/failure.ts';
import type { Outcome, ResultDocument } from './model/run.ts';
import { isUpToDate, mayStartAnyway } from './session/boot-failure.ts';
import { bootSettings, isBootWanted } from './session/boot-settings.ts';
import { createResultBuilder } from './session/result.ts';
import { UpdateManager, type BootOptions, type OpenOptions } from './update-manager.ts';

export type MigrateOnBootOptions = OpenOptions &
  BootOptions & {
    /** Hears every event of the run, as `UpdateManager.on('event')` does. */
    readonly onEvent?: (event: UpgradeEvent) => void;
  };

/**
 * Resolves with `outcome` `committed` or `nothing-to-do` where the installation is up to date (also with `AUTO_MIGRATE=false`: nothing was
 * looked at then, and `product` is empty). For every other end it rejects with an UpgradeError, so that a bare `await` keeps the application
 * from starting; of a run that failed, the error's `cause` is the result document. With `onFailure: 'start-anyway'` it resolves with the result
 * that tells what failed, but not after a run that is stranded or undecided, nor when `signal` was aborted.
 */
export async function migrateOnBoot(options: MigrateOnBootOptions = {}): Promise<ResultDocument> {
  const { env = process.env, signal, onEvent, onNote = () => undefined } = options;
  if (!isBootWanted(env)) {
    onNote({ type: 'disabled' });
    return documentOf('nothing-to-do', '', []);
  }
  let { onFailure } = options;
  let product = '';
  const attempt = async (): Promise<ResultDocument> => {
    const manager = await UpdateManager.open(options);
    ({ product } = manager.config);
    ({ onFailure } = bootSettings(manager.config, env, options));
    if (onEvent !== undefined) manager.on('event', onEvent);
    return manager.boot(options);
  };
  const ended = await attempt().catch((error: unknown) => ({ error, document: documentOf('refused', product, failuresOf(error)) }));
  const result = 'error' in ended ? ended.document : ended;
  if (isUpToDate(result)) return result;
  if (onFailure === 'start-anyway' && mayStartAnyway(result, signal)) return result;
  throw 'error' in ended ? ended.error : new UpgradeError(result.failures, { cause: result });
}

/** Of a run that did not begin. */
function documentOf(outcome: Outcome, product: string, failures: readonly Failure[]): ResultDocument {
  return createResultBuilder().document({ outcome, runId: null, product, plan: null, version: null, durationMs: 0, failures, steps: [] });
}
