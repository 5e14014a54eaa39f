// Loads users' TypeScript and JavaScript files. Promises that `rungs` resolves wherever they lie, and that `.ts` is an ES module whatever package.json says.
import { hash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire, registerHooks, stripTypeScriptTypes } from 'node:module';
import { fileURLToPath } from 'node:url';
import { failure, messageOf } from '../../model/failure.ts';
import type { Failure } from '../../model/failure.ts';
import type { StrippedCode } from '../stripped-code.ts';

export interface LoadedModule {
  readonly file: string;
  /** Of the default export, or of the module where there is none. */
  readonly members: Readonly<Record<string, unknown>>;
  /** Written for another tool, as `up(db)` and `down(db)`: its halves are handed the database, and not a context. */
  readonly takesDatabase: boolean;
}

const require = createRequire(import.meta.url);
const made = new Map<string, StrippedCode>();
const given = new Map<string, string>();
let areHooksRegistered = false;

/** The module, or why it cannot be loaded. Loads each file once per process. */
export function loadModule(file: string): LoadedModule | Failure {
  registerOnce();
  try {
    const loaded: unknown = require(file);
    return { file, ...halvesOf(membersOf(loaded)) };
  } catch (error) {
    return loadFailure(file, error);
  }
}

function registerOnce(): void {
  if (areHooksRegistered) return;
  areHooksRegistered = true;
  const api = stepApiUrl();
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'rungs' ? { url: api, format: formatOfApi(api), shortCircuit: true } : next(specifier, context),
    load: (url, context, next) => {
      const path = url.split('?', 1)[0] ?? url;
      if (path.endsWith('.ts') && path.startsWith('file:')) return { format: 'module', source: stripped(path), shortCircuit: true };
      // Which kind a `.js` is must not hang on the package.json that happens to lie above it.
      if (path.endsWith('.js') && path.startsWith('file:') && !path.includes('/node_modules/')) {
        return next(url, { ...context, format: looksLikeModule(readFileSync(fileURLToPath(path), 'utf8')) ? 'module' : 'commonjs' });
      }
      return next(url, context);
    },
  });
}

// Node's own format for it, `module-typescript`, takes three times as long: for each file it looks into a cache on disk and sets up a source map.
function stripped(url: string): string {
  const file = fileURLToPath(url);
  const known = given.get(file);
  if (known !== undefined) return known;
  const bytes = readFileSync(file);
  const code = withoutTypes(bytes.toString(), url);
  made.set(file, { sha256: hash('sha256', bytes, 'hex'), code });
  return code;
}

function withoutTypes(text: string, url: string): string {
  try {
    return stripTypeScriptTypes(text);
  } catch {
    // Once more, for an error that names the file: in code that works the name would go along to whoever executes it from elsewhere.
    return stripTypeScriptTypes(text, { sourceUrl: url });
  }
}

/** What was made of a file that this process has loaded; `null` for one that has no types, or was not loaded. */
export function strippedHere(file: string): StrippedCode | null {
  return made.get(file) ?? null;
}

/** Code that another process of ours made of a file with the same bytes. */
export function useStripped(file: string, code: string): void {
  given.set(file, code);
}

// In the bundle this file is part of dist/step-host.js, and dist/step-api.js lies beside it.
function stepApiUrl(): string {
  const bundled = new URL('./step-api.js', import.meta.url);
  return existsSync(bundled) ? bundled.href : new URL('../../step-api.ts', import.meta.url).href;
}

function formatOfApi(url: string): 'module' | 'module-typescript' {
  return url.endsWith('.ts') ? 'module-typescript' : 'module';
}

function looksLikeModule(source: string): boolean {
  return /^\s*(?:import\s*(?:[\w{*"'$]|\/)|export\s*(?:default\b|[{*]|const\b|let\b|var\b|async\b|function\b|class\b))/m.test(source);
}

function membersOf(loaded: unknown): Readonly<Record<string, unknown>> {
  if (typeof loaded !== 'object' || loaded === null) return {};
  const named = { ...loaded } satisfies Record<string, unknown>;
  const byDefault: unknown = 'default' in loaded ? loaded.default : undefined;
  if (typeof byDefault !== 'object' || byDefault === null) return named;
  // Its number and name by default, and the halves beside them: other tools take that too.
  const isDataOnly = ['forward', 'up'].every((half) => !(half in byDefault)) && ('forward' in named || 'up' in named);
  return isDataOnly ? { ...named, ...byDefault } : { ...byDefault };
}

/** `up` and `down` are taken for `forward` and `backward` where those are not there; its number and name stand in the file's name. */
function halvesOf(members: LoadedModule['members']): Omit<LoadedModule, 'file'> {
  const { up, down, version: _version, name: _name, ...rest } = members;
  if (typeof up !== 'function' || 'forward' in members) return { members, takesDatabase: false };
  return { members: { ...rest, forward: up, ...(down === undefined ? {} : { backward: down }) }, takesDatabase: true };
}

function loadFailure(file: string, error: unknown): Failure {
  const text = messageOf(error);
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  if (error instanceof SyntaxError || code.includes('TYPESCRIPT_SYNTAX')) {
    const at = placeInStack(error, file);
    // A name that a module does not export is a SyntaxError for Node, but for people it is an import that is missing.
    if (/does not provide an export named/.test(text)) return failure('STEP_IMPORT', { file, error: text }, { place: { file } });
    return failure('STEP_SYNTAX', { file, error: firstLine(text) }, { place: { file, ...at } });
  }
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND')
    return failure('STEP_IMPORT', { file, error: firstLine(text) }, { place: { file } });
  return failure('STEP_LOAD', { file, error: firstLine(text) }, { place: { file, ...placeInStack(error, file) } });
}

/** Line (and column) of the first mention of the file in the stack. */
export function placeInStack(error: unknown, file: string): { readonly line?: number; readonly column?: number } {
  if (!(error instanceof Error) || error.stack === undefined) return {};
  const at = error.stack.indexOf(file);
  const found = at < 0 ? null : /^:(\d+)(?::(\d+))?/.exec(error.stack.slice(at + file.length));
  if (found === null) return {};
  return { line: Number(found[1]), ...(found[2] === undefined ? {} : { column: Number(found[2]) }) };
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
