// A secret that came by `${…}` and gets wherever a secret can get: it leaves by no way out, and lies in no file of the state folder.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { testNeeding } from '../../support/needs.ts';
import { openScreen } from '../../support/tmux.ts';
import { environment, executable, makeSmall } from './installation.ts';

const key = 'k3y/of the+probe';
const password = 'pa55 w0rd&of=the:database';
const env = { PROBE_KEY: key, DB_URL: `postgres://app:${encodeURIComponent(password)}@127.0.0.1:1/app` };
/** Also as they stand in URLs, in JSON, and in base64. */
const forms = [key, password].flatMap((secret) => [
  secret,
  encodeURIComponent(secret),
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
]);

const talking = {
  text: '#!/bin/sh\ncase "$1" in forward) echo "key is $PROBE_KEY"; echo "url is $DB_URL" >&2; printf "%s" "$PROBE_KEY" | base64 ;; esac\n',
  mode: 0o755,
};
const throwing = `export const description = 'Fails with what it should keep for itself';
export async function forward({ log, progress }) {
  log('connecting to ' + process.env.DB_URL);
  await progress(1, 2, 'with ' + process.env.PROBE_KEY);
  throw new Error('refused: ' + process.env.DB_URL + ' ' + JSON.stringify({ key: process.env.PROBE_KEY }));
}
export async function backward() {}
`;

function filesBelow(dir: string): readonly string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [path.join(entry.parentPath, entry.name)] : [],
  );
}

// Some thirty calls, one after the other.
testNeeding('tmux')('a secret in config, output, an error and a database URL is in no sink', { timeout: 300_000 }, async () => {
  const files = { 'migrations/v2.0.0_to_v3.0.0/001_talk.sh': talking, 'migrations/v2.0.0_to_v3.0.0/002_throw.ts': throwing };
  const config = 'verify: [{ name: answers, http: "http://127.0.0.1:1/?key=${PROBE_KEY}&db=${DB_URL}", within: 1s }]\n';
  const { root, upgrade } = makeSmall({ config, files });
  const sinks = new Map<string, string>();
  const call = async (...args: readonly string[]): Promise<void> => {
    const { stdout, stderr } = await upgrade(args, { env });
    sinks.set(`stdout of ${args.join(' ')}`, stdout).set(`stderr of ${args.join(' ')}`, stderr);
  };
  // On a terminal, at the loudest.
  const screen = openScreen({
    columns: 200,
    rows: 60,
    cwd: root,
    env: { ...env, PATH: environment().PATH ?? '', TERM: 'xterm-256color' },
    command: [process.execPath, executable, '--yes', '-v'],
  });
  onTestFinished(screen.close);
  const seen = await screen.until((text) => text.includes('ended with'), 'the end');
  expect(seen).toContain('key is ***');
  expect(seen).toContain('ended with 10');
  sinks.set('the terminal', screen.lines({ history: true, colours: true }).join('\n'));
  await call('--yes', '-v');
  await call('--yes', '--json');
  await call('--yes', '--events');
  for (const command of ['follow', 'status', 'history', 'logs', 'plan', 'doctor', 'check', 'backup list'])
    for (const format of [[], ['--json']]) await call(...command.split(' '), ...format);
  await call('logs', '--step', '001_talk');
  await call('logs', '--step', '002_throw', '--json');
  const [{ id = '' } = {}] = JSON.parse(sinks.get('stdout of history --json') ?? '[]') as readonly { readonly id?: string }[];
  await call('history', id);
  await call('history', id, '--json');
  // A database that does not answer is named with its URL.
  const other = makeSmall({
    config: 'verify: []\n',
    files: {
      'inst/upgrade.yaml':
        'product: small\nversion: { file: VERSION }\nmigrations: ../migrations\ndatabases: { app: { sqlite: data/app.db }, main: { postgres: "${DB_URL}", connect: { attempts: 1, backoff: 10ms } } }\nbackup: { include: [VERSION] }\n',
    },
  });
  for (const args of [['doctor'], ['--yes', '-v'], ['--yes', '--json']]) {
    const { code, stdout, stderr } = await other.upgrade(args, { env });
    expect(code).toBe(3);
    expect(stdout + stderr).toContain('127.0.0.1');
    sinks.set(`no database, ${args.join(' ')}`, stdout + stderr);
  }
  for (const dir of [root, other.root])
    for (const file of filesBelow(path.join(dir, '.upgrade'))) sinks.set(file, readFileSync(file, 'latin1'));
  expect([...sinks.keys()].filter((name) => name.endsWith('run.log')).length).toBeGreaterThanOrEqual(4);
  const leaks = [...sinks].flatMap(([name, text]) => forms.filter((form) => text.includes(form)).map((form) => `${name}: ${form}`));
  expect(leaks).toEqual([]);
});
