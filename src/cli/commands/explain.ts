// `upgrade explain [CODE]`: what an error means, what has happened to the installation, and what to do; or all codes. Needs no installation.
import { fail } from '../../model/failure.ts';
import { nearest } from '../../model/nearest.ts';
import { readErrorPage, renderErrorEntry, renderErrorList } from '../../report/error-page.ts';
import { errorsPage } from '../errors-page.ts';
import type { CommonFlags } from '../flags.ts';
import { inkFor, present } from '../output.ts';
import type { Terminal } from '../terminal.ts';

export async function explain(wanted: string | undefined, flags: CommonFlags, terminal: Terminal): Promise<number> {
  const entries = readErrorPage(errorsPage());
  const style = { ink: inkFor(flags, terminal), columns: terminal.columns };
  if (wanted === undefined) {
    present(flags, terminal, entries, () => renderErrorList(entries, style));
    return 0;
  }
  const code = wanted.toUpperCase().replaceAll('-', '_');
  const entry = entries.find((one) => one.code === code);
  if (entry === undefined)
    throw fail('ERROR_CODE_UNKNOWN', {
      code: wanted,
      nearest: nearest(
        code,
        entries.map((one) => one.code),
      ),
    });
  present(flags, terminal, entry, () => renderErrorEntry(entry, style));
  return 0;
}
