// The real `upgrade serve` on a scratch installation, for whoever wants to ask it. Ends with `stop()`.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import * as commands from './commands.mjs';

/** `→ { url, token, stop() }` */
export async function startServing(root) {
  const [program, ...create] = commands.upgrade('token', 'create', 'bench');
  const { stdout, status, stderr } = spawnSync(program, create, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`no token: ${stderr}`);
  const [, ...args] = commands.upgrade('serve', '--json', '--listen', '127.0.0.1:0');
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return {
    url: JSON.parse(line).listening,
    token: stdout.trim(),
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}
