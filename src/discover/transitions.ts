// Reads the folder of transitions: names and `transition.yaml` alone (for a status), or everything with SHA-256 and metadata (for a plan).
// Promises all problems at once, as data; nothing is written and nothing of the user's is executed but what `describeModules` loads.
import { lstatSync, readdirSync, realpathSync, statSync, type Dirent } from 'node:fs';
import path from 'node:path';
import type { Config } from '../model/config.ts';
import { failure, messageOf, type Failure } from '../model/failure.ts';
import type { Finding, TransitionHeader, VersionTransition } from '../model/plan.ts';
import type { DescribeModules } from '../model/ports.ts';
import { sortVersions, type Version } from '../model/version.ts';
import { duplicatePairs, readFolderName, type NamedTransition } from './folder-names.ts';
import { readFolder, type ReadFolder } from './read-folder.ts';
import { describeSteps } from './describe-steps.ts';
import { readTransitionFile } from './transition-file.ts';
import { isWithin, ownershipProblems, readTrusted, stepBytesLimit, textOf, trustOf, type Trust } from './trusted-files.ts';

type DiscoverConfig = Pick<Config, 'file' | 'migrations' | 'services' | 'databases' | 'ladders'> & {
  /** `migrations` are the copies of an earlier run. */
  readonly isArchive?: boolean;
};

export interface TransitionGraph {
  /** Ordered by version, never by name. */
  readonly transitions: readonly TransitionHeader[];
  readonly problems: readonly Failure[];
}

export interface ReadTransitions {
  readonly transitions: readonly VersionTransition[];
  readonly problems: readonly Failure[];
  readonly findings: readonly Finding[];
}

/** What a path can be chosen by. Reads no step. */
export async function readTransitionGraph(config: DiscoverConfig): Promise<TransitionGraph> {
  const { headers, problems } = readHeaders(config);
  return { transitions: headers, problems };
}

interface ReadRequest {
  readonly describeModules: DescribeModules;
  /** What `readTransitionGraph` gave, where that was just asked: the folder is then not listed again. */
  readonly graph?: TransitionGraph;
}

/** `ids` are names of folders. The problems of names and of `transition.yaml` are those of all folders; the problems of steps those of the folders asked for. */
export async function readTransitions(
  config: DiscoverConfig,
  ids: readonly string[] | 'all',
  { describeModules, graph }: ReadRequest,
): Promise<ReadTransitions> {
  const { headers, problems, trust } =
    graph === undefined ? readHeaders(config) : { headers: graph.transitions, problems: graph.problems, trust: trustOrNull(config) };
  const wanted = ids === 'all' ? null : new Set(ids);
  const chosen = wanted === null ? headers : headers.filter(({ id }) => wanted.has(id));
  const missing = ids === 'all' ? [] : ids.filter((id) => !headers.some((header) => header.id === id));
  const folders: ReadFolder[] = trust === null ? [] : chosen.map((header) => readFolder(header, trust, config.isArchive));
  const described = await describeSteps(
    folders.flatMap(({ steps }) => steps),
    { describeModules, known: config },
  );
  const steps = Map.groupBy(described.steps, ({ transition }) => transition);
  return {
    transitions: folders.map(({ header, files }) => ({
      ...header,
      files,
      steps: (steps.get(header.id) ?? []).map(({ step }) => step),
      climb: null,
    })),
    problems: [
      ...problems,
      ...missing.map((id) =>
        failure('TRANSITION_MISSING', { id, dir: config.migrations }, { place: { file: path.join(config.migrations, id) } }),
      ),
      ...folders.flatMap((folder) => folder.problems),
      ...described.problems,
    ],
    findings: [...folders.flatMap(({ findings }) => findings), ...described.findings],
  };
}

interface Headers {
  readonly headers: readonly TransitionHeader[];
  readonly problems: readonly Failure[];
  /** `null` where there is no folder to trust. */
  readonly trust: Trust | null;
}

function readHeaders(config: DiscoverConfig): Headers {
  const dir = config.migrations;
  const ladders = new Set(Object.values(config.ladders).map((ladder) => ladder.dir));
  let entries: Dirent[];
  let trust: Trust;
  try {
    const real = realpathSync(dir);
    entries = readdirSync(real, { withFileTypes: true });
    trust = trustOf(config.file, real);
  } catch (error) {
    // An installation of ladders alone needs no folder of transitions, unless it names one.
    if (messageOf(error).includes('ENOENT') && ladders.size > 0 && dir === path.resolve(path.dirname(config.file), 'migrations'))
      return { headers: [], problems: [], trust: null };
    const why = messageOf(error).includes('ENOENT')
      ? 'does not exist'
      : messageOf(error).includes('ENOTDIR')
        ? 'is not a folder'
        : `cannot be read: ${messageOf(error)}`;
    return { headers: [], problems: [failure('MIGRATIONS_NOT_FOUND', { dir, why }, { place: { file: dir } })], trust: null };
  }
  const problems: Failure[] = [...ownershipProblems(dir, statSync(dir), trust)];
  const named: NamedTransition[] = [];
  for (const entry of entries) {
    // The copies of ladders' steps lie beside those of transitions.
    if (config.isArchive === true && entry.name.includes('@')) continue;
    const file = path.join(dir, entry.name);
    const isFolder = entry.isDirectory() || (entry.isSymbolicLink() && leadsToFolder(file));
    const read = readFolderName(entry.name, isFolder, { file });
    if (read === null) continue;
    if ('code' in read) {
      // A folder may be a ladder's, too: then its files are steps.
      if (isFolder || !ladders.has(dir)) problems.push(read);
      continue;
    }
    const link = entry.isSymbolicLink() ? realpathSync(file) : null;
    if (link !== null && !isWithin(trust.within, link)) problems.push(failure('UNSAFE_LINK', { file, target: link }, { place: { file } }));
    else named.push(read);
  }
  problems.push(...duplicatePairs(named, (id) => ({ file: path.join(dir, id) })));
  const headers: TransitionHeader[] = [];
  for (const transition of named) {
    const read = readHeader(transition, path.join(dir, transition.id), trust, config);
    headers.push(read.header);
    problems.push(...read.problems);
  }
  const rank = new Map(sortVersions(headers.flatMap(({ from, to }) => [from, to])).map((version, at) => [version, at]));
  const rankOf = (version: Version) => rank.get(version) ?? 0;
  headers.sort((a, b) => rankOf(a.from) - rankOf(b.from) || rankOf(a.to) - rankOf(b.to));
  return { headers, problems, trust };
}

function readHeader(
  named: NamedTransition,
  dir: string,
  trust: Trust,
  config: DiscoverConfig,
): { readonly header: TransitionHeader; readonly problems: readonly Failure[] } {
  const file = path.join(dir, 'transition.yaml');
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return readTransitionFile(named, dir, null, config);
  const { read, problems } = readTrusted(file, found.isSymbolicLink(), trust, stepBytesLimit);
  const bytes = read?.bytes ?? null;
  const text = bytes === null ? null : textOf(bytes, file);
  if (text === null || typeof text === 'string') {
    const { header, problems: inside } = readTransitionFile(named, dir, text, config);
    return { header, problems: [...problems, ...inside] };
  }
  return { header: readTransitionFile(named, dir, null, config).header, problems: [...problems, text] };
}

function trustOrNull({ file, migrations }: DiscoverConfig): Trust | null {
  const real = statSync(migrations, { throwIfNoEntry: false });
  return real === undefined ? null : trustOf(file, realpathSync(migrations));
}

function leadsToFolder(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true;
}
