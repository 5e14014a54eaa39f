// Every database of the config: is it there, sound, and could it be put back? One finding for each problem, all at once.
import { access, constants, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Config, DatabaseConfig } from '../model/config.ts';
import { failure, failuresOf, messageOf, type Failure } from '../model/failure.ts';
import type { Finding, FindingLevel } from '../model/plan.ts';
import type { Databases } from '../model/ports.ts';
import { foreignKeyProblems, integrityProblems, readStill } from './sqlite.ts';

export function createDatabases(config: Pick<Config, 'databases'>): Databases {
  return {
    check: async () => {
      const findings: Finding[] = [];
      for (const [name, database] of Object.entries(config.databases)) findings.push(...(await checkOne(name, database)));
      return findings;
    },
  };
}

async function checkOne(name: string, database: DatabaseConfig): Promise<readonly Finding[]> {
  if (database.kind === 'postgres') return (await import('./postgres/check.ts')).checkPostgres(name, database);
  const { file } = database;
  try {
    const found = await stat(file).catch(nullIfMissing);
    if (found === null) return [await missing(name, file)];
    if (!found.isFile()) return [finding('block', failure('DATABASE_UNREACHABLE', { name, file, error: 'it is not a file' }))];
    await access(file, constants.R_OK | constants.W_OK);
    const [damage, dangling] = await readStill(file, (open) => [integrityProblems(open), foreignKeyProblems(open)] as const, {
      name,
      deadlineMs: 5000,
    });
    return [
      ...(damage.length === 0 ? [] : [finding('block', failure('DATABASE_CORRUPT', { name, file, problems: damage }))]),
      ...(dangling.length === 0 ? [] : [finding('block', failure('DATABASE_FOREIGN_KEYS', { name, file, problems: dangling }))]),
    ];
  } catch (error) {
    const known = failuresOf(error).filter(({ code }) => code.startsWith('DATABASE_'));
    if (known.length > 0) return known.map((problem) => finding('block', problem));
    return [finding('block', failure('DATABASE_UNREACHABLE', { name, file, error: messageOf(error) }))];
  }
}

/** A database that a step will create is no fault; a folder that is not there is. */
async function missing(name: string, file: string): Promise<Finding> {
  const hasFolder = await stat(dirname(file)).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return hasFolder
    ? finding('warn', failure('DATABASE_MISSING', { name, file }))
    : finding('block', failure('DATABASE_UNREACHABLE', { name, file, error: `its folder ${dirname(file)} is missing` }));
}

function finding(level: FindingLevel, { code, message, hint }: Failure): Finding {
  return { level, code, message, hint };
}

function nullIfMissing(error: unknown): null {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
  throw error;
}
