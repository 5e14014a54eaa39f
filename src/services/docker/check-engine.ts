// Whether an engine can be asked at all, and is new enough. Given before anything is changed, so nobody waits for one that is down.
import { fail } from '../../model/failure.ts';
import type { Engine } from './engine.ts';

/** Docker 19.03. */
const [oldestMajor, oldestMinor] = [1, 40];

/** Throws DOCKER_UNREACHABLE and the like at once, and DOCKER_API_VERSION. */
export async function checkEngine(engine: Engine): Promise<void> {
  const { ApiVersion } = await engine.call('tell its version', (docker) => docker.version(), { timeoutMs: 10_000, patienceMs: 0 });
  const [major = 0, minor = 0] = ApiVersion.split('.').map(Number);
  const isNewEnough = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
  if (!isNewEnough) throw fail('DOCKER_API_VERSION', { address: engine.address, error: `its API is ${ApiVersion}` });
}
