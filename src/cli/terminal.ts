// Where a command writes and asks. One object, so that commands are run in tests as they are run by people.
import { createInterface } from 'node:readline';
import { createOutput, type WritableEnd } from '../report/output.ts';
import type { UpdateManager } from '../update-manager.ts';

export interface Terminal {
  /** To stdout. */
  readonly out: (text: string) => void;
  /** To stderr. */
  readonly err: (text: string) => void;
  readonly stdout: WritableEnd;
  readonly stderr: WritableEnd;
  readonly columns: number;
  /** Questions are asked only where somebody can answer. */
  readonly canAsk: boolean;
  /** No answer before the signal is a no. */
  readonly ask: (question: string, signal?: AbortSignal) => Promise<boolean>;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The installation that the call is about, from the moment it is open: an error is told with its name, and without its secrets. */
  readonly opened: { manager: UpdateManager | null };
}

export function systemTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process;
  // A reader that went away ends the output, never the run.
  const out = createOutput(stdout);
  const err = createOutput(stderr);
  return {
    out: (text) => out.write(text),
    err: (text) => err.write(text),
    stdout,
    stderr,
    columns: err.columns,
    canAsk: stdin.isTTY && stderr.isTTY,
    ask: (question, signal) =>
      new Promise((resolve) => {
        const lines = createInterface({ input: stdin, output: stderr });
        // Ctrl-D and Ctrl-C are answers too.
        lines
          .once('SIGINT', () => lines.close())
          .once('close', () => {
            if (!isAnswered) err.write('\n');
            resolve(false);
          });
        let isAnswered = false;
        signal?.addEventListener('abort', () => lines.close(), { once: true });
        lines.question(`${question} [y/N] `, (answer) => {
          isAnswered = true;
          resolve(/^y(es)?$/i.test(answer.trim()));
          lines.close();
        });
      }),
    cwd: process.cwd(),
    env,
    opened: { manager: null },
  };
}
