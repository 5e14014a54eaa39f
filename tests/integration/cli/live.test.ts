// A run as it is seen on a real terminal, at several sizes. Steps wait until they are let go on, so that what is looked at is there for certain.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { testNeeding } from '../../support/needs.ts';
import { openScreen, type Screen } from '../../support/tmux.ts';
import type { Entry } from '../../unit/discover/tree.ts';
import { environment, executable, makeSmall, type Small } from './installation.ts';

const test = testNeeding('tmux');

const script = (description: string, forward: string): Entry => ({
  text: `#!/bin/sh\n# rungs: { description: ${description}, timeout: 60s }\ncase "$1" in\n  forward) ${forward} ;;\n  backward) rm -f data/half ;;\nesac\n`,
  mode: 0o755,
});
const waitFor = (gate: string): string => `until [ -e ../${gate} ]; do sleep 0.05; done`;
const counting = `import { existsSync } from 'node:fs';
export const description = 'Count the things, one after the other, and tell how far it is';
export async function forward({ progress, log, root }) {
  await progress(11, 20, 'in the middle');
  log('said \\u001b[31mred\\u001b[0m\\u001b[2Jthings');
  while (!existsSync(root + '/../counted')) await new Promise((resolve) => setTimeout(resolve, 50));
}
export async function backward() {}
`;

/** Two transitions more, to 3.0.0; the last step does what is said. */
function installation(last: string): Small {
  return makeSmall({
    files: {
      'migrations/v2.0.0_to_v3.0.0/001_look.sh': script('Look around', 'echo looking'),
      'migrations/v2.0.0_to_v3.0.0/002_count.ts': counting,
      'migrations/v2.0.0_to_v3.0.0/003_last.sh': script('The last one', last),
    },
  });
}

function open({ root }: Small, size: { readonly columns: number; readonly rows?: number }, args: readonly string[] = ['--yes']): Screen {
  const screen = openScreen({
    ...size,
    cwd: root,
    env: { PATH: environment().PATH ?? '', TERM: 'xterm-256color' },
    command: [process.execPath, executable, ...args],
  });
  onTestFinished(screen.close);
  return screen;
}

const letGo = ({ dir }: Small, gate: string): void => writeFileSync(path.join(dir, gate), '');
/** The command itself: of a step it is said too what it ended with. */
const hasEnded = (text: string): boolean => /^ended with \d+$/m.test(text);
const widest = (text: string): number => Math.max(...text.split('\n').map((line) => line.length));

describe.each([{ columns: 60 }, { columns: 100 }, { columns: 200 }])('at $columns columns', ({ columns }) => {
  test('a run is drawn while it goes on, and is a line for each phase and a box at its end', async () => {
    const small = installation('echo bye');
    const screen = open(small, { columns });
    const running = await screen.until((text) => text.includes('said red'), 'what the running step said');
    expect(running).toMatch(/^small {2}1\.0\.0 → 3\.0\.0 {2}5 steps$/m);
    expect(running).toMatch(/^✓ backup {2}\d+ files/m);
    expect(running).toMatch(/^▸ orchestration +\d/m);
    expect(running).toMatch(/^ {2}✓ 1\.1\.0 → 2\.0\.0/m);
    expect(running).toMatch(/^ {2}▸ 2\.0\.0 → 3\.0\.0 {2}1 of 3/m);
    expect(running).toMatch(/^ {4}✓ 001_look {2}Look around +\d/m);
    expect(running).toMatch(/^ {4}▸ 002_count {2}Count the things/m);
    expect(running).toMatch(/^ {6}━+─+ {2}55 % {2}in the middle$/m);
    expect(running).toMatch(/^ {6}│ said redthings$/m);
    expect(running).toMatch(/^ {4}· 003_last/m);
    expect(running).toMatch(/^━+─+ 3 of 5 steps +\d/m);
    expect(widest(running)).toBeLessThanOrEqual(columns);
    if (columns < 100) expect(running).toContain('…');
    letGo(small, 'counted');
    const ended = await screen.until(hasEnded, 'the end');
    expect(ended).toMatch(/^✓ orchestration {2}3 transitions, 5 steps +\d/m);
    expect(ended).toMatch(/^│ ✓ small is at 3\.0\.0 now +[\d.]+ (ms|s) │$/m);
    expect(ended).toContain('ended with 0');
    // Collapsed: nothing of what was drawn is left. The box names the steps that took longest.
    expect(ended.replace(/^│.*$/gm, '')).not.toMatch(/001_look|said red|━|of 5 steps|▸/);
    expect(widest(ended)).toBeLessThanOrEqual(columns);
  });

  test('a run that fails says which step, its last words, what was put back and what to do', async () => {
    const small = installation('echo half > data/half; echo "no room at the inn"; exit 7');
    letGo(small, 'counted');
    const screen = open(small, { columns, rows: 50 });
    const ended = await screen.until(hasEnded, 'the end');
    expect(ended).toMatch(/^✗ orchestration/m);
    expect(ended).toMatch(/^ {2}✗ v2\.0\.0_to_v3\.0\.0\/003_last/m);
    expect(ended).toMatch(/^ {4}│ no room at the inn$/m);
    expect(ended).toMatch(/^↩ rollback/m);
    expect(ended).toMatch(/^│ ↩ small is at 1\.0\.0, as before/m);
    expect(ended).toContain('STEP_FAILED');
    expect(ended).toContain('upgrade history');
    expect(ended).toContain('ended with 10');
    expect(widest(ended)).toBeLessThanOrEqual(columns);
  });

  test('a run that is stranded says so in the first words of the box', async () => {
    const small = installation('echo half > data/half; echo other > VERSION; rm -rf .upgrade/backups/*; exit 7');
    letGo(small, 'counted');
    const screen = open(small, { columns, rows: 60 });
    const ended = await screen.until(hasEnded, 'the end');
    expect(ended).toMatch(/^│ ✗ STRANDED: small is between 1\.0\.0 and 3\.0\.0/m);
    expect(ended).toMatch(/BACKUP_(MISSING|CORRUPT)/);
    expect(ended).toContain('upgrade rollback');
    expect(ended).toContain('ended with 12');
    expect(widest(ended)).toBeLessThanOrEqual(columns);
  });
});

test('of 1,200 steps only those around the running one are drawn, in a low terminal too', async () => {
  const numbers = Array.from({ length: 1_200 }, (_, at) => at + 1).filter((number) => number !== 700);
  const steps = numbers.map((at) => [
    `migrations/v2.0.0_to_v3.0.0/${String(at).padStart(4, '0')}_one.sql`,
    `-- rungs: { database: app }\n-- forward\nINSERT INTO users (name) VALUES ('n${at}');\n-- backward\nDELETE FROM users WHERE name = 'n${at}';\n`,
  ]);
  const small = makeSmall({
    files: {
      ...Object.fromEntries(steps),
      'migrations/v2.0.0_to_v3.0.0/0700_wait.sh': script('Wait', waitFor('waited')),
    },
  });
  const screen = open(small, { columns: 80, rows: 16 });
  const running = await screen.until((text) => text.includes('▸ 0700_wait'), 'the step in the middle');
  expect(running).toMatch(/^ {4}… 69\d before$/m);
  expect(running).toMatch(/^ {4}✓ 0699_one/m);
  expect(running).toMatch(/^ {4}… 49\d to come$/m);
  expect(running).toMatch(/701 of 1202 steps/);
  letGo(small, 'waited');
  expect(await screen.until(hasEnded, 'the end')).toContain('ended with 0');
});

test('a terminal that is made narrower and wider while a run goes on shows each line once and whole', async () => {
  const small = installation('echo bye');
  const screen = open(small, { columns: 100 });
  await screen.until((text) => text.includes('said red'), 'the running step');
  for (const columns of [60, 140, 72]) {
    screen.resize(columns, 24);
    const edge = Math.min(columns - 1, 100);
    // Its time stands at the edge: drawn anew for this width.
    const text = await screen.until(
      (seen) => seen.split('\n').some((line) => line.startsWith('▸ orchestration') && line.length === edge),
      `drawn at ${columns}`,
    );
    for (const line of ['▸ orchestration', '003_last', '│ said', 'of 5 steps'])
      expect(text.split(line), `${line} at ${columns}`).toHaveLength(2);
  }
  letGo(small, 'counted');
  expect(await screen.until(hasEnded, 'the end')).toContain('ended with 0');
});

test('Ctrl-C is answered above what is drawn, and the run is put back', async () => {
  const small = installation('echo bye');
  const screen = open(small, { columns: 100 });
  await screen.until((text) => text.includes('said red'), 'the running step');
  screen.type('C-c');
  const stopping = await screen.until((text) => text.includes('stopping at the next safe point'), 'the answer');
  expect(stopping.split('of 5 steps').length).toBeLessThanOrEqual(2);
  const ended = await screen.until(hasEnded, 'the end');
  expect(ended).toContain('was cancelled and was rolled back');
  expect(ended).toContain('ended with 10');
});

test('without colours there is not one, and with them nothing else changes', async () => {
  const seen = await Promise.all(
    [['--yes'], ['--yes', '--no-color']].map(async (args) => {
      const small = installation('echo bye');
      const screen = open(small, { columns: 100 }, args);
      await screen.until((text) => text.includes('said red'), 'the running step');
      return {
        coloured: screen.lines({ colours: true }).join('\n'),
        plain: screen
          .lines()
          .join('\n')
          // Each run's own times, and the size that its backup was compressed to.
          .replace(/[\d.]+ m?s/g, '')
          .replace(/\d+ B,/, 'B,')
          .replace(/ +$/gm, ''),
      };
    }),
  );
  const [withColours, without] = seen;
  expect(withColours?.coloured).toContain('\u001b[32m');
  expect(without?.coloured).not.toContain('\u001b[');
  expect(without?.plain).toBe(withColours?.plain);
});
