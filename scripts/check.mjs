// The one gate: format, lint, types, unused code, unit tests (left out with --static). Runs them side by side and prints only what failed.
import { spawn } from 'node:child_process';

const checks = [
  ['format', 'oxfmt', ['--check', '.']],
  ['lint', 'oxlint', ['--type-aware', '--deny-warnings', '.']],
  ['types', 'tsc', ['-p', '.']],
  ['types of the dashboard', 'tsc', ['-p', 'src/serve/dashboard']],
  ['unused', 'knip', ['--no-progress']],
  // `npm test` runs them with all the others.
  ...(process.argv.includes('--static') ? [] : [['unit tests', 'vitest', ['run', '--project', 'unit']]]),
];

const results = [];
// Two at a time: the machine this is meant for has two cores.
const queue = [...checks];
await Promise.all(
  [0, 1].map(async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results.push(await run(...next));
  }),
);
for (const { name, code, output } of results) {
  console.log(`${code === 0 ? '✓' : '✗'} ${name}`);
  if (code !== 0) console.log(output);
}
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;

function run(name, command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.on('error', (error) => resolve({ name, code: 1, output: String(error) }));
    child.on('close', (code) => resolve({ name, code, output: Buffer.concat(chunks).toString() }));
  });
}
