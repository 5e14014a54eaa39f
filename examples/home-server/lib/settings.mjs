// The installation's own settings: `.env`, `config/app.yaml` and `release.json`, read without any dependency.
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
export const pidFile = join(root, 'run', 'web.pid');

/** The environment wins over `.env`, as everywhere. */
export function readEnv() {
  const env = {};
  for (const line of readFileSync(join(root, '.env'), 'utf8').split('\n')) {
    const [, name, value] = /^\s*([A-Z_][A-Z0-9_]*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined) env[name] = value;
  }
  return env;
}

/** The port: `HOME_SERVER_PORT` of the environment, or `PORT` of `.env`. */
export function readPort() {
  return Number(process.env.HOME_SERVER_PORT ?? readEnv().PORT);
}

/** `section.key` to its text. Two levels of `key: value` are all that config/app.yaml has. */
export function readConfig() {
  const settings = new Map();
  let section = '';
  for (const line of readFileSync(join(root, 'config', 'app.yaml'), 'utf8').split('\n')) {
    const [, indent, key, value] = /^( *)([a-z_]+):(?: +([^#]*?))?\s*(?:#.*)?$/.exec(line) ?? [];
    if (key === undefined) continue;
    if (indent === '') section = key;
    else settings.set(`${section}.${key}`, value ?? '');
  }
  return settings;
}

/** What code is deployed here, and the database schema that it was written for. */
export function readRelease() {
  return JSON.parse(readFileSync(join(root, 'release.json'), 'utf8'));
}
