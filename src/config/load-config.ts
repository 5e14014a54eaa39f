// Loads `upgrade.yaml`: finds it, reads it with positions, checks its shape and its rules, and fills in every default.
// Promises a whole `Config`, or one UpgradeError with every problem of the file, each with its line and column.
import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { upgradeConfig } from '../../schemas/upgrade-config.ts';
import type { Config } from '../model/config.ts';
import { fail, failure, messageOf, UpgradeError, type Failure } from '../model/failure.ts';
import { checkShape } from '../model/schema-problems.ts';
import { readYaml, type YamlSource } from '../model/yaml-source.ts';
import { findConfig } from './find-config.ts';
import { normalise } from './normalise.ts';
import { configRules } from './rules.ts';

export interface LoadConfigRequest {
  /** Default: the nearest `upgrade.yaml`, from `cwd` upwards. */
  readonly file?: string | undefined;
  readonly cwd: string;
  /** Takes the place of `root` in the file; relative to `cwd`. */
  readonly root?: string | undefined;
  /** For `${NAME}`. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Throws CONFIG_NOT_FOUND, CONFIG_UNREADABLE, or an UpgradeError with all problems of the file. */
export async function loadConfig({ file, cwd, root, env }: LoadConfigRequest): Promise<Config> {
  const found = await findConfig(cwd, file);
  const of = path.basename(found);
  const source = readYaml({ text: await readText(found), file: found, of, env });
  if (source.value === undefined) throw new UpgradeError(source.problems);
  if (source.value === null) throw fail('CONFIG_EMPTY', { of }, { place: { file: found, line: 1, column: 1 } });
  const checked = checkShape(upgradeConfig, source, of);
  // A root that is missing is worth saying along with what is wrong with the shape.
  const place = await placeOfRoot(found, of, root === undefined ? rootIn(source) : path.resolve(cwd, root), root === undefined ? source : null);
  if (!checked.ok) throw new UpgradeError([...source.problems, ...checked.problems, ...place.problems]);
  const config = normalise(checked.value, { file: found, root: place.root, secrets: withPasswords(source.secrets) });
  const problems = [...source.problems, ...place.problems, ...configRules(checked.value, config, source, of)];
  if (problems.length > 0) throw new UpgradeError(problems);
  return config;
}

async function readText(file: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (error) {
    throw fail('CONFIG_UNREADABLE', { file, error: messageOf(error) }, { place: { file } }, error);
  }
}

function rootIn(source: YamlSource): string {
  const { value } = source;
  const root = typeof value === 'object' && value !== null && 'root' in value && typeof value.root === 'string' ? value.root : '.';
  return path.resolve(path.dirname(source.placeAt([]).file), root);
}

/** Links resolved, because everything below is compared with real paths later. */
async function placeOfRoot(file: string, of: string, root: string, source: YamlSource | null): Promise<{ readonly root: string; readonly problems: readonly Failure[] }> {
  const place = source === null ? { file } : source.placeAt(['root']);
  try {
    const real = await realpath(root);
    if ((await stat(real)).isDirectory()) return { root: real, problems: [] };
    return { root: real, problems: [failure('ROOT_NOT_FOUND', { root, why: 'is not a folder' }, { place })] };
  } catch (error) {
    const why = messageOf(error).includes('ENOENT') ? 'does not exist' : `cannot be read: ${messageOf(error)}`;
    return { root, problems: [failure('ROOT_NOT_FOUND', { root, why }, { place })] };
  }
}

/** A database driver may print only the password of a URL, so that is a secret of its own. */
function withPasswords(secrets: readonly string[]): readonly string[] {
  const passwords = secrets.flatMap((secret) => {
    const password = URL.canParse(secret) ? new URL(secret).password : '';
    return [password, decoded(password)];
  });
  return [...new Set([...secrets, ...passwords])].filter((secret) => secret !== '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
