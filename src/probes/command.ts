// Runs a command in the root and compares its exit code, and its output with a regular expression.
import { runCommand } from '../processes/run-command.ts';
import type { ProbeContext, ProbeOf } from './registry.ts';
import { show } from './show.ts';

export async function probeCommand(
  { command, expect }: ProbeOf<'command'>,
  { config, signal, limitMs }: ProbeContext,
): Promise<string | null> {
  const { end, exitCode, account, stdout, lines } = await runCommand({ argv: command, cwd: config.root, timeoutMs: limitMs, signal });
  const name = `"${command.join(' ')}"`;
  if (end !== 'exited' || exitCode !== expect.exitCode) {
    const said = lines.length === 0 ? '' : `: ${lines.slice(-3).join(' / ')}`;
    return `${name} ${account}${end === 'exited' ? `, expected ${expect.exitCode}` : ''}${said}`;
  }
  if (expect.stdout === null || new RegExp(expect.stdout, 'u').test(stdout)) return null;
  return `${name} printed ${show(stdout.trim())}, expected something that matches /${expect.stdout}/`;
}
