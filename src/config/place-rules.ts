// Where state, backups and the files of the configuration may lie: nowhere that a run would save itself, delete itself, or harm the machine.
import path from 'node:path';
import { failure, type Failure } from '../model/failure.ts';
import { dotted, type RuleContext } from './rule-context.ts';

/** Folders of the system that may hold ours, but must not be ours. */
const notThemselves = [
  '/',
  '/bin',
  '/boot',
  '/etc',
  '/home',
  '/lib',
  '/opt',
  '/root',
  '/run',
  '/sbin',
  '/srv',
  '/tmp',
  '/usr',
  '/var',
  '/var/lib',
];
/** Nothing of ours may lie inside these. */
const notInside = ['/proc', '/sys', '/dev', '/boot', '/bin', '/sbin', '/usr/bin', '/usr/sbin'];

export function placeRules(context: RuleContext): readonly Failure[] {
  const { text, config, of, place } = context;
  const { root, state, backup, migrations } = config;
  const problems: Failure[] = [];
  // Where the state folder is the root or above it, everything lies in it: that is said once.
  const inState = (file: string) => isInside(state, file) && state !== root && !isInside(state, root);
  const refuse = (at: readonly (string | number)[], file: string, why: string) =>
    problems.push(failure('PATH_REFUSED', { of, key: dotted(at), path: file, why }, place(at)));

  // A backup folder that is not given lies in the state folder: what is wrong with that is said once.
  for (const [at, dir] of [
    [['state'], state],
    ...(text.backup?.dir === undefined ? [] : [[['backup', 'dir'], backup.dir] as const]),
  ] as const) {
    if (dir === root) refuse(at, dir, 'which is the installation root itself');
    else if (isInside(dir, root)) refuse(at, dir, 'which the installation root lies in');
    else if (notThemselves.includes(dir) || notInside.some((folder) => dir === folder || isInside(folder, dir)))
      refuse(at, dir, 'which belongs to the system');
    else if (dir === migrations || isInside(migrations, dir)) refuse(at, dir, 'which lies in the migrations');
  }
  if (backup.dir === state) refuse(['backup', 'dir'], backup.dir, 'which is the state folder itself');
  else if (isInside(backup.dir, state)) refuse(['backup', 'dir'], backup.dir, 'which the state folder lies in');
  if (root === '/' && backup.include === null) refuse(['root'], root, 'and without "backup.include" the whole machine would be backed up');

  if (config.version.kind === 'file' || config.version.kind === 'json') {
    const at = ['version', config.version.kind];
    if (!isInside(root, config.version.file)) refuse(at, config.version.file, 'which is not inside the installation root');
    else if (inState(config.version.file)) refuse(at, config.version.file, 'which lies in the state folder');
  }
  for (const [name, database] of Object.entries(config.databases)) {
    if (database.kind === 'sqlite' && inState(database.file))
      refuse(['databases', name, 'sqlite'], database.file, 'which lies in the state folder');
    if (database.kind === 'sqlite' && database.file === root)
      refuse(['databases', name, 'sqlite'], database.file, 'which is the installation root itself');
  }
  for (const [at, entry] of (text.backup?.include ?? []).entries()) {
    const key = ['backup', 'include', at];
    const absolute = path.resolve(root, entry);
    if (path.isAbsolute(entry)) refuse(key, entry, 'but has to be relative to the root');
    else if (absolute !== root && !isInside(root, absolute)) refuse(key, entry, 'which leads out of the root');
    else if (/[*?]/.test(entry)) refuse(key, entry, 'but "include" takes paths, not patterns');
    else if (absolute === state || inState(absolute)) refuse(key, entry, 'which lies in the state folder');
  }
  return problems;
}

function isInside(folder: string, file: string): boolean {
  const relative = path.relative(folder, file);
  return relative !== '' && relative !== '..' && !relative.startsWith(`..${path.sep}`) && !path.isAbsolute(relative);
}
