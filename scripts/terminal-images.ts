// Draws docs/images/terminal-*.svg: a small installation is upgraded on a real terminal (tmux), once well and once not, and what can be seen is turned into
// pictures, colours and all. Times differ from one drawing to the next. Needs tmux and a built dist/.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openScreen, type Screen } from '../tests/support/tmux.ts';

const repository = path.resolve(import.meta.dirname, '..');
const images = path.join(repository, 'docs/images');
const columns = 100;
const rows = 26;

const step = (description: string, forward: string): string =>
  `#!/bin/sh\n# rungs: { description: ${description}, timeout: 60s }\ncase "$1" in\n  forward) ${forward} ;;\n  backward) : ;;\nesac\n`;
const uploads = `import { existsSync } from 'node:fs';
export const description = 'Move uploads into folders by year';
export async function forward({ progress, log, root }) {
  await progress(1312, 2048, '2024');
  log('uploads/2024/photo-1312.jpg');
  while (!existsSync(root + '/../go')) await new Promise((resolve) => setTimeout(resolve, 50));
}
export async function backward() {}
`;

function installation(dir: string, last: string): string {
  const root = path.join(dir, 'home-server');
  const files: Readonly<Record<string, string>> = {
    VERSION: '0.1.0\n',
    'data/users.json': '[]\n'.repeat(4_000),
    'upgrade.yaml': 'product: home-server\nversion: { file: VERSION }\nbackup: { include: [VERSION, data] }\n',
    'migrations/v0.1.0_to_v0.2.0/001_addresses.sh': step('Copy each address into its own file', 'sleep 0.2'),
    'migrations/v0.1.0_to_v0.2.0/002_quotas.sh': step('Count quotas in bytes', 'sleep 0.1'),
    'migrations/v0.2.0_to_v0.3.0/001_mail_settings.sh': step('Add mail settings', 'sleep 0.1'),
    'migrations/v0.2.0_to_v0.3.0/002_uploads_by_year.ts': uploads,
    'migrations/v0.2.0_to_v0.3.0/003_switch_release.sh': step('Switch to 0.3.0', last),
    'migrations/v0.2.0_to_v0.3.0/004_thumbnails.sh': step('Make thumbnails', 'sleep 0.1'),
  };
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text, { mode: 0o755 });
  }
  return root;
}

const palette = { text: '#d4d4d8', back: '#18181b', dim: '#7c7c85', green: '#4ade80', red: '#f87171', yellow: '#facc15' };

/** What tmux captured with its colours (SGR), as a picture. */
function svgOf(lines: readonly string[]): string {
  const width = 8.4;
  const height = 19;
  const margin = 16;
  const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const drawn = lines.flatMap((line, row) => {
    let column = 0;
    let [fill, isBold, isDim] = [palette.text, false, false];
    return line.split(/(\u001b\[[0-9;]*m)/).flatMap((part) => {
      if (part.startsWith('\u001b')) {
        for (const code of part.slice(2, -1).split(';').map(Number)) {
          if (code === 0) [fill, isBold, isDim] = [palette.text, false, false];
          if (code === 1) isBold = true;
          if (code === 2) isDim = true;
          if (code === 22) [isBold, isDim] = [false, false];
          if (code === 31) fill = palette.red;
          if (code === 32) fill = palette.green;
          if (code === 33) fill = palette.yellow;
          if (code === 39) fill = palette.text;
        }
        return [];
      }
      const at = column;
      column += part.length;
      if (part.trim() === '') return [];
      const x = (margin + at * width).toFixed(1);
      const y = margin + (row + 0.8) * height;
      const style = `fill="${isDim ? palette.dim : fill}"${isBold ? ' font-weight="bold"' : ''}`;
      return [
        `<text x="${x}" y="${y.toFixed(1)}" ${style} textLength="${(part.length * width).toFixed(1)}" xml:space="preserve">${escaped(part)}</text>`,
      ];
    });
  });
  const [w, h] = [Math.ceil(columns * width + 2 * margin), lines.length * height + 2 * margin];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" font-family="'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="14">`,
    `<rect width="100%" height="100%" rx="8" fill="${palette.back}"/>`,
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

function picture(name: string, screen: Screen): void {
  const lines = [...screen.lines({ colours: true })];
  while (lines.at(-1)?.trim() === '' || lines.at(-1)?.startsWith('ended with') === true) lines.pop();
  const file = path.join(images, `${name}.svg`);
  writeFileSync(file, svgOf(lines));
  console.log(path.relative(repository, file));
}

async function watch(last: string, names: { readonly running?: string; readonly ended: string }): Promise<void> {
  const dir = mkdtempSync(path.join(tmpdir(), 'rungs-image-'));
  const cwd = installation(dir, last);
  const command = [process.execPath, path.join(repository, 'bin/upgrade.mjs'), '--yes'];
  const screen = openScreen({ columns, rows, cwd, command, env: { TERM: 'xterm-256color', PATH: process.env.PATH ?? '' } });
  try {
    await screen.until((text) => text.includes('photo-1312'), 'the running step');
    if (names.running !== undefined) picture(names.running, screen);
    writeFileSync(path.join(dir, 'go'), '');
    await screen.until((text) => text.includes('ended with'), 'the end');
    picture(names.ended, screen);
  } finally {
    screen.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

if (!existsSync(path.join(repository, 'dist/cli.js'))) throw new Error('Build first: npm run build');
mkdirSync(images, { recursive: true });
await watch('sleep 0.1', { running: 'terminal-running', ended: 'terminal-committed' });
await watch('echo "the release is not there"; exit 4', { ended: 'terminal-rolled-back' });
