// What the preflight can tell of the services without touching them: kinds that nobody controls yet, commands that are not there.
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import type { Config } from '../model/config.ts';
import { failure } from '../model/failure.ts';
import type { Failure } from '../model/failure.ts';
import type { Finding, FindingLevel } from '../model/plan.ts';
import { controllers } from './registry.ts';
import type { ServiceOf } from './registry.ts';

const actions = ['restart', 'stop', 'start', 'health', 'status'] as const;

/** All findings at once, in the order of the config. Reads, writes nothing, starts nothing. */
export async function serviceFindings(config: Pick<Config, 'root' | 'services'>): Promise<readonly Finding[]> {
  const perService = Object.values(config.services).map(async (service) => {
    if (controllers[service.kind] === null)
      return [finding('block', failure('SERVICE_KIND_UNSUPPORTED', { service: service.name, kind: service.kind }))];
    return service.kind === 'command' ? commandFindings(service, config.root) : [];
  });
  return (await Promise.all(perService)).flat();
}

async function commandFindings(service: ServiceOf<'command'>, root: string): Promise<readonly Finding[]> {
  const { name, commands, pidFile } = service;
  const findings: Finding[] = [];
  if (commands.restart === null && (commands.stop === null || commands.start === null)) {
    findings.push(finding('block', failure('SERVICE_ACTION_MISSING', { service: name, action: 'restart' })));
  }
  if (service.stopDuringUpgrade && commands.stop === null)
    findings.push(finding('block', failure('SERVICE_ACTION_MISSING', { service: name, action: 'stop' })));
  if (commands.health === null && commands.status === null && pidFile === null)
    findings.push(finding('warn', failure('SERVICE_NOT_OBSERVABLE', { service: name })));
  for (const action of actions) {
    const executable = commands[action]?.[0];
    if (executable === undefined) continue;
    const problem = await executableProblem(executable, root);
    if (problem !== null)
      findings.push(finding('block', failure('SERVICE_EXECUTABLE_MISSING', { service: name, action, executable, problem })));
  }
  return findings;
}

/** As the kernel looks it up: a name with a slash from the root, another one along PATH. */
async function executableProblem(executable: string, root: string): Promise<string | null> {
  if (executable.includes('/')) return fileProblem(resolve(root, executable));
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder !== '' && (await fileProblem(join(folder, executable))) === null) return null;
  }
  return 'no folder of PATH has it';
}

async function fileProblem(file: string): Promise<string | null> {
  try {
    if (!(await stat(file)).isFile()) return 'that is not a file';
    await access(file, constants.X_OK);
    return null;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return code === 'EACCES' ? 'it is not executable' : 'there is no such file';
  }
}

function finding(level: FindingLevel, { code, message, hint }: Failure): Finding {
  return { level, code, message, hint };
}
