// Compose's own opinion of a service: the hash that it labels containers with. Given the project's files; `null` where Compose cannot be asked.
import { existsSync } from 'node:fs';
import { runCommand } from '../../processes/run-command.ts';
import { composeFilesOf, composeLabels } from './containers.ts';

const askMs = 30_000;

/** `files`: read after the project's own. */
export async function composeHash(
  labels: Readonly<Record<string, string>>,
  service: string,
  files: readonly string[] = [],
): Promise<string | null> {
  const all = [...new Set([...composeFilesOf(labels), ...files])].filter((file) => existsSync(file));
  const folder = labels[composeLabels.folder] ?? '/';
  const args = [
    '--project-name',
    labels[composeLabels.project] ?? '',
    '--project-directory',
    folder,
    ...all.flatMap((file) => ['-f', file]),
    'config',
    '--hash',
    service,
  ];
  for (const compose of [['docker', 'compose'], ['docker-compose']]) {
    const { exitCode, stdout } = await runCommand({
      argv: [...compose, ...args],
      cwd: existsSync(folder) ? folder : '/',
      timeoutMs: askMs,
    });
    const hash = exitCode === 0 ? /\b[0-9a-f]{64}\b/.exec(stdout)?.[0] : undefined;
    if (hash !== undefined) return hash;
  }
  return null;
}
