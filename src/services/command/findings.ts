// What can be told of a service's commands without running them: which are missing, and which cannot be executed.
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { failure } from '../../model/failure.ts';
import type { Finding } from '../../model/plan.ts';
import { finding } from '../finding.ts';
import type { ServiceOf } from '../registry.ts';

const actions = ['restart', 'stop', 'start', 'health', 'status'] as const;

export async function commandFindings(service: ServiceOf<'command'>, root: string): Promise<readonly Finding[]> {
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
