// Where a command writes and asks. One object, so that commands are run in tests as they are run by people.
import { createInterface } from 'node:readline/promises';
import { createOutput, type WritableEnd } from '../report/output.ts';

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
  readonly ask: (question: string) => Promise<boolean>;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
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
    columns: stderr.columns ?? stdout.columns ?? 80,
    canAsk: stdin.isTTY && stderr.isTTY,
    ask: async (question) => {
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
      } finally {
        lines.close();
      }
    },
    cwd: process.cwd(),
    env,
  };
}
