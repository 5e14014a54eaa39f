// `upgrade serve`: the status API and the dashboard, until it is told to stop. `--print-unit` prints the unit that runs it under systemd.
import { notifierFor } from '../../report/systemd.ts';
import { createScrubber } from '../../report/scrub.ts';
import { parseListenAddress } from '../../serve/listen-address.ts';
import { listTokens } from '../../serve/tokens.ts';
import { openManager } from '../manager.ts';
import { isForPrograms } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export interface ServeFlags extends CommonFlags {
  readonly listen?: string;
  readonly allowHost?: readonly string[];
  readonly allowRemote?: boolean;
  readonly printUnit?: boolean;
}

const usualAddress = '127.0.0.1:7070';

export async function serve(flags: ServeFlags, terminal: Terminal): Promise<number> {
  const listen = flags.listen ?? usualAddress;
  const address = parseListenAddress(listen, { cwd: terminal.cwd, allowRemote: flags.allowRemote === true });
  const manager = await openManager(flags, terminal);
  if (flags.printUnit === true) {
    const { serveUnit } = await import('../../serve/unit.ts');
    terminal.out(serveUnit({ config: manager.config, address, listen, allowedHosts: flags.allowHost ?? [] }));
    return 0;
  }
  const scrub = createScrubber(manager.config.secrets);
  const { startServer } = await import('../../serve/server.ts');
  const server = await startServer({
    manager,
    address,
    allowedHosts: flags.allowHost ?? [],
    onProblem: (message) => terminal.err(`upgrade serve: ${scrub(message)}\n`),
  });
  const notify = notifierFor(terminal.env);
  notify?.('READY=1', `STATUS=${server.url}`);
  if (isForPrograms(flags)) terminal.out(`${JSON.stringify({ listening: server.url })}\n`);
  else terminal.out(`${manager.config.product}: ${server.url}\n`);
  if (listTokens(manager.config.state).length === 0)
    terminal.err('There is no token yet, so nobody can ask anything: "upgrade token create NAME" prints one.\n');
  await untilStopped();
  notify?.('STOPPING=1');
  await server.close();
  return 0;
}

async function untilStopped(): Promise<void> {
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve()).once('SIGTERM', () => resolve());
    process.on('SIGHUP', () => undefined);
  });
}
