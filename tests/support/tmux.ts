// A real terminal: a tmux server of its own with one pane. Given its size and a command; promises that it can be looked at, typed into, resized, and is
// gone when the test is over.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface Screen {
  /** What can be seen now, line by line; `history`: also what has scrolled away. */
  readonly lines: (options?: { readonly history?: boolean; readonly colours?: boolean }) => readonly string[];
  /** Until what can be seen fits. Throws with what it was that could be seen instead. */
  readonly until: (fits: (text: string) => boolean, what: string) => Promise<string>;
  readonly type: (...keys: readonly string[]) => void;
  readonly resize: (columns: number, rows: number) => void;
  readonly close: () => void;
}

export interface ScreenRequest {
  readonly columns: number;
  readonly rows?: number;
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A program with its arguments. */
  readonly command: readonly string[];
}

const deadlineMs = 40_000;
const lookEveryMs = 50;

export function openScreen({ columns, rows = 30, cwd, env = {}, command }: ScreenRequest): Screen {
  const dir = mkdtempSync(path.join(tmpdir(), 'rungs-tmux-'));
  const tmux = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync('tmux', ['-S', path.join(dir, 'socket'), '-f', '/dev/null', ...args], {
      cwd,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: dir, LC_ALL: 'C.UTF-8', SHELL: '/bin/sh', ...env },
    });
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const quoted = command.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
  // The pane stays when its command has ended, and when that was by Ctrl-C, which its shell gets too.
  tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), `trap : INT; ${quoted}; printf 'ended with %s\\n' "$?"; exec cat`);
  const lines: Screen['lines'] = ({ history = false, colours = false } = {}) =>
    tmux('capture-pane', '-p', ...(colours ? ['-e'] : []), ...(history ? ['-S', '-'] : [])).split('\n');
  return {
    lines,
    async until(fits, what) {
      const deadline = performance.now() + deadlineMs;
      for (;;) {
        const text = lines().join('\n');
        if (fits(text)) return text;
        if (performance.now() > deadline) throw new Error(`never seen: ${what}; but:\n${lines({ history: true }).join('\n')}`);
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      }
    },
    type: (...keys) => void tmux('send-keys', ...keys),
    resize: (width, height) => void tmux('resize-window', '-x', String(width), '-y', String(height)),
    close() {
      try {
        tmux('kill-server');
      } catch (error) {
        // A server that has ended is closed.
        if (!/no server running|No such file or directory/.test(String(error))) throw error;
      }
      // Tried again: a shell that is being ended still writes its history here.
      rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}
