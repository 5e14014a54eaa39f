// The plan of a boot: the way to the highest version with the climbs that its transitions ask for, and before it every ladder that no
// transition ties to a version, to its top. One plan, so one run with one backup. Reads; writes nothing.
import type { Config } from '../model/config.ts';
import { planHash } from '../plan/make-plan.ts';
import { readTransitionGraph } from '../discover/transitions.ts';
import type { ReadingPorts } from './adapters.ts';
import { estimateBackup, noBackup } from './backup-estimate.ts';
import { climbsToTop } from './climbs.ts';
import { preparePlan, sha256, type PreparedPlan } from './planning.ts';

/** Throws what `preparePlan` and `prepareLadderPlan` throw. */
export async function prepareBootPlan(config: Config, adapters: ReadingPorts): Promise<PreparedPlan> {
  const { transitions: headers, problems } = await readTransitionGraph(config);
  const tied = new Set(headers.flatMap(({ ladders }) => Object.keys(ladders)));
  const free = Object.keys(config.ladders).filter((name) => !tied.has(name));
  // An installation of ladders alone needs neither a folder of transitions nor a version; any other is told what is wrong with them.
  const wrong = problems.filter(({ code }) => code !== 'MIGRATIONS_NOT_FOUND' || free.length === 0);
  const hasVersions = headers.length > 0 || wrong.length > 0 || free.length === 0;
  const versions = hasVersions ? await preparePlan(config, adapters, {}) : await standing(config, adapters);
  if (free.length === 0) return versions;
  const climbs = await climbsToTop(config, free, adapters.clock.now());
  const transitions = [...climbs.transitions, ...versions.transitions];
  const findings = [...climbs.findings, ...versions.findings];
  if (climbs.transitions.length === 0) return { ...versions, findings, imported: climbs.imported };
  const plan = { product: config.product, from: versions.from, to: versions.to, direction: 'up' as const, transitions };
  const backup = await estimateBackup(config, adapters, plan);
  return {
    ...plan,
    hash: planHash(plan, sha256),
    graph: versions.graph,
    findings,
    accepted: [],
    imported: climbs.imported,
    backup,
  };
}

/** Whatever is installed stays. */
async function standing(config: Config, adapters: ReadingPorts): Promise<PreparedPlan> {
  const version = await adapters.installation.readVersion();
  const plan = { product: config.product, from: version, to: version, direction: 'up' as const, transitions: [] };
  return {
    ...plan,
    hash: planHash(plan, sha256),
    graph: [],
    findings: [],
    accepted: [],
    imported: [],
    backup: noBackup,
  };
}
