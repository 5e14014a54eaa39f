// The engine that the demo uses: the one that is there, or one of its own where that can be had.
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { startDaemon, type DockerEngine } from '../../tests/support/docker-daemon.ts';

export type DemoEngine = Pick<DockerEngine, 'docker' | 'env' | 'end'> & { readonly isOwn: boolean };

/** A sentence that says what is missing, where there is none. */
export async function findEngine(): Promise<DemoEngine | string> {
  if (!isInstalled('docker')) return 'The demo needs Docker: install the package docker.io, or docker-ce.';
  if (!isStaticBusybox()) return 'The demo makes its images of a static busybox: install the package busybox-static.';
  const docker = async (...args: readonly string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)('docker', [...args], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  };
  const problem = await docker('version', '--format', '{{.Server.Version}}').then(
    () => null,
    (error: unknown) => (error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error)),
  );
  if (problem === null) return { docker, env: {}, end: async () => undefined, isOwn: false };
  // A wish that cannot be met is told, and not taken for another.
  if ((process.env['DOCKER_HOST'] ?? '') !== '') return `The engine that DOCKER_HOST names does not answer: ${problem}`;
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !isInstalled('dockerd'))
    return `No Docker engine answers (${problem}): start it, name it in DOCKER_HOST, or run the demo as root where dockerd is installed.`;
  return { ...(await startDaemon()), isOwn: true };
}

function isInstalled(program: string): boolean {
  return run('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin" command -v ${program}`]) !== null;
}

/** One that needs libraries would not start in an image that has nothing else. */
function isStaticBusybox(): boolean {
  const where = run('sh', ['-c', 'command -v busybox'])?.trim();
  return where !== undefined && !(run('ldd', [where]) ?? '').includes('=>');
}

function run(program: string, args: readonly string[]): string | null {
  try {
    return execFileSync(program, [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}
