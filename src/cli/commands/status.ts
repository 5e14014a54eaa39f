// `upgrade status`: what is installed, what is pending, what is unfinished.
import { renderStatus } from '../../report/status.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export async function status(flags: CommonFlags, terminal: Terminal): Promise<number> {
  const manager = await openManager(flags, terminal);
  const document = await manager.status();
  const { problems, ...rest } = document;
  // The contract's shape; why the state is "error" is told besides.
  present(flags, terminal, problems.length === 0 ? rest : document, () =>
    renderStatus(document, { ink: inkFor(flags, terminal), columns: terminal.columns }),
  );
  return 0;
}
