// A real Docker engine for the tests: one for each that is asked for, ended with the test file.
import { afterAll, type test } from 'vitest';
import { startDaemon, type DockerEngine, type EngineOptions } from './docker-daemon.ts';
import { testAsRoot } from './needs.ts';

export type { DockerEngine } from './docker-daemon.ts';

/** `test` where engines can be started, else one that is skipped and says why; CI fails instead. */
export const testWithDocker: typeof test = testAsRoot('dockerd', 'docker', 'busybox', 'unshare');

const started: DockerEngine[] = [];
// Here, not where an engine is started: a hook that is added while another one runs is never called.
afterAll(async () => {
  for (const engine of started.splice(0)) await engine.end();
});

export async function startDockerEngine(options: EngineOptions = {}): Promise<DockerEngine> {
  const engine = await startDaemon(options);
  started.push(engine);
  return engine;
}
