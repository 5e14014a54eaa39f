// The last lines of a unit: what it wrote and what systemd says of it, out of the journal; where there is none, what `systemctl status` still knows.
import { lastLines } from '../../processes/tail.ts';
import { runTool, type Scope } from './systemctl.ts';

const lines = 20;
const askMs = 5_000;

/** Never fails: it is told beside a failure that matters more. */
export async function unitLog(unit: string, scope: Scope): Promise<readonly string[]> {
  try {
    // Not `--user --unit`: where one journal keeps all, a user's units are told apart by a field of their own.
    const selector = scope === 'user' ? '--user-unit' : '--unit';
    const journal = await runTool('journalctl', [selector, unit, '--lines', `${lines}`, '--output', 'cat', '--quiet', '--no-pager'], {
      scope,
      timeoutMs: askMs,
    });
    const written = lastLines(journal.stdout, lines);
    if (written.length > 0 || (journal.end === 'exited' && (await hasJournal(scope)))) return written;
    const status = await runTool('systemctl', [`--${scope}`, 'status', '--no-pager', `--lines=${lines}`, '--', unit], {
      scope,
      timeoutMs: askMs,
    });
    return lastLines(status.stdout, lines);
  } catch {
    return [];
  }
}

/** `journalctl` ends with 0 and says nothing where no journal is kept, as where a unit has not said anything. */
async function hasJournal(scope: Scope): Promise<boolean> {
  const { stdout } = await runTool('journalctl', ['--lines', '1', '--output', 'cat', '--quiet', '--no-pager'], { scope, timeoutMs: askMs });
  return stdout.trim() !== '';
}
