// The button: asks Rungs to bring this installation up to date, and tells how that went. The server is one of the services that the run
// restarts, so the run has to be somebody else's: `start` hands it to a process of its own and comes back at once.
import { createHash, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { readEnv, root } from './settings.mjs';

/** Answers `{ status, body }`. 202 with the run's id, 200 where nothing is to be done, 409 where something speaks against it. */
export async function startUpgrade() {
  const manager = await openManager();
  if (manager === null) return notInstalled;
  try {
    const plan = await manager.plan();
    if (plan.transitions.length === 0) return { status: 200, body: { outcome: 'nothing-to-do', version: plan.to } };
    const { runId } = await manager.start(plan);
    return { status: 202, body: { runId, from: plan.from, to: plan.to } };
  } catch (error) {
    // Everything that Rungs has to say comes as failures with a code, a message and what to do next.
    return { status: 409, body: { failures: (error.failures ?? [{ message: error.message }]).map(told) } };
  }
}

/** The last run, also one that was begun before this process was: that is how the new version tells that it is the new version. */
export async function tellUpgrade() {
  const manager = await openManager();
  if (manager === null) return notInstalled;
  const [{ version, pending, lock }, [run]] = await Promise.all([manager.status(), manager.history()]);
  return { status: 200, body: { version, pending, run: run === undefined ? null : summary(run, lock) } };
}

/** Nobody without ADMIN_TOKEN of `.env`, and nobody at all where there is none. */
export function isAllowed(request) {
  const { ADMIN_TOKEN: token = '' } = readEnv();
  const [, given = ''] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
  return token !== '' && timingSafeEqual(digest(given), digest(token));
}

const notInstalled = { status: 501, body: { failures: [{ message: 'Rungs is not installed beside this product.' }] } };

/** Loaded only when somebody asks: the server starts without it. */
async function openManager() {
  try {
    const { UpdateManager } = await import('rungs');
    return await UpdateManager.open({ config: join(root, 'upgrade.yaml') });
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw error;
  }
}

function summary({ id, from, to, phase, outcome, failure }, lock) {
  // Without an outcome somebody is at it, or it was killed and waits for "upgrade resume".
  const state = outcome ?? (lock === null ? 'unfinished' : 'running');
  return { id, from, to, state, phase, failure: failure === null ? null : told(failure) };
}

function told({ code, message, hint }) {
  return { code, message, hint };
}

/** Of one length, whatever was given. */
function digest(text) {
  return createHash('sha256').update(text).digest();
}
