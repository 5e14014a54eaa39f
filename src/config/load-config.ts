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
  const checked = checkShape(upgradeConfig, source, of, [], standIns);
  const place = await placeOfRoot(found, root === undefined ? rootIn(source) : path.resolve(cwd, root), root === undefined ? source : null);
  const problems: Failure[] = [...source.problems, ...(checked.ok ? [] : checked.problems), ...place.problems];
  const text = checked.ok ? checked.value : checked.rest;
  // What has the right shape is checked against the rules even where something else has not: all problems at once.
  const config = text === null ? null : normalise(text, { file: found, root: place.root, secrets: withPasswords(source.secrets) });
  if (text !== null && config !== null) problems.push(...configRules(text, config, source, of));
  if (config !== null && config.backup.recipients.length > 0)
    problems.push(...(await import('./recipient-rules.ts')).recipientRules(config, source, of));
  if (config === null || problems.length > 0) throw new UpgradeError(inOrder(withoutEchoes(problems)));
  return config;
}

/** For required keys that are wrong, so that the others can still be checked. */
const standIns = { product: 'unnamed', version: { journal: true } };

/** A variable that is not set is the problem, not the empty text that stands in its place. */
function withoutEchoes(problems: readonly Failure[]): readonly Failure[] {
  const at = ({ place }: Failure) => `${place?.line}:${place?.column}`;
  const unset = new Set(problems.filter(({ code }) => code === 'ENVIRONMENT_MISSING' || code === 'ENVIRONMENT_SYNTAX').map(at));
  return problems.filter((problem) => problem.code !== 'WRONG_VALUE' || !unset.has(at(problem)));
}

function inOrder(problems: readonly Failure[]): readonly Failure[] {
  return problems.toSorted((a, b) => (a.place?.line ?? 0) - (b.place?.line ?? 0) || (a.place?.column ?? 0) - (b.place?.column ?? 0));
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
async function placeOfRoot(
  file: string,
  root: string,
  source: YamlSource | null,
): Promise<{ readonly root: string; readonly problems: readonly Failure[] }> {
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
