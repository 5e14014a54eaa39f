// Tab in real shells: each is started on a real terminal, given the script that Rungs prints, and typed into.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished, test as always } from 'vitest';
import { testNeeding } from '../../support/needs.ts';
import { openScreen, type Screen } from '../../support/tmux.ts';
import { environment, executable, makeSmall, type Small } from './installation.ts';

const shells = [
  { shell: 'bash', start: ['bash', '--norc', '--noprofile', '-i'], load: 'PS1="% "; . ../bin/completion' },
  { shell: 'zsh', start: ['zsh', '-f', '-i'], load: 'PS1="%% "; autoload -U compinit; compinit -u -d ../zcompdump; . ../bin/completion' },
  { shell: 'fish', start: ['fish', '--no-config', '-i'], load: 'function fish_prompt; echo "% "; end; source ../bin/completion' },
] as const;

async function shellWith(small: Small, { shell, start, load }: (typeof shells)[number]): Promise<Screen> {
  const bin = path.join(small.dir, 'bin');
  mkdirSync(bin);
  symlinkSync(executable, path.join(bin, 'upgrade'));
  const { stdout } = await small.upgrade(['completion', shell]);
  writeFileSync(path.join(bin, 'completion'), stdout);
  const screen = openScreen({
    columns: 100,
    cwd: small.root,
    env: { PATH: `${bin}:${environment().PATH ?? ''}`, TERM: 'xterm-256color' },
    command: start,
  });
  onTestFinished(screen.close);
  await screen.until((text) => /[$%#>] *$/m.test(text.trimEnd()), 'a prompt');
  screen.type(load, 'Enter');
  await screen.until((text) => /^% *$/m.test(text), 'the prompt of ours');
  return screen;
}

describe.each(shells)('$shell', (which) => {
  const test = testNeeding('tmux', which.shell);

  test('completes commands, flags, versions, ids and codes', async () => {
    const small = makeSmall({ files: { 'migrations/v2.0.0_to_v9.8.7/001_x.sql': '-- rungs: { database: app }\nSELECT 1' } });
    const { id } = JSON.parse((await small.upgrade(['backup', 'create', '--json'])).stdout) as { id: string };
    const { runId } = JSON.parse((await small.upgrade(['--to', '1.1.0', '--json', '--yes'])).stdout) as { runId: string };
    const screen = await shellWith(small, which);
    const cases = [
      ['upgrade hist', 'upgrade history'],
      ['upgrade plan --form', 'upgrade plan --format'],
      ['upgrade --to 9', 'upgrade --to 9.8.7'],
      [`upgrade history ${runId.slice(0, -2)}`, `upgrade history ${runId}`],
      [`upgrade backup verify ${id.slice(0, -3)}`, `upgrade backup verify ${id}`],
      ['upgrade explain ERROR_CO', 'upgrade explain ERROR_CODE_UNKNOWN'],
      ['upgrade completion fi', 'upgrade completion fish'],
      ['upgrade -c upgrade.ya', 'upgrade -c upgrade.yaml'],
    ];
    for (const [typed = '', completed = ''] of cases) {
      screen.type('-l', typed);
      await screen.until((text) => text.trimEnd().endsWith(typed) || text.includes(typed), 'what was typed');
      screen.type('Tab');
      await screen.until(
        (text) => new RegExp(`% +${completed.replaceAll('.', '\\.')}( |$)`, 'm').test(text),
        `${typed} completed to ${completed}`,
      );
      screen.type('C-u');
      await screen.until((text) => !text.includes(completed), 'an empty line');
    }
  });
});

always.each([
  { words: ['sta'], found: ['status'] },
  { words: ['backup', 'r'], found: ['restore'] },
  { words: ['--to=1', 'plan', '--format', ''], found: ['text', 'json', 'mermaid'] },
  { words: ['--config', 'nowhere.yaml', 'history', ''], found: [] },
  { words: ['nonsense', ''], found: [] },
  { words: ['plan', '-c', ''], found: [':files'] },
])('$words: $found', async ({ words, found }) => {
  const { upgrade } = makeSmall();
  const { code, stdout, stderr } = await upgrade(['__complete', '--', ...words]);
  expect({ code, stderr, found: stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0]])) }).toEqual({
    code: 0,
    stderr: '',
    found,
  });
});
