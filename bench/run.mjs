// The benchmarks: `node run.mjs [NAME…] [--rounds N]`. Each prepares scratch folders of its own and prints ratios beside their bounds.
// Ratios count: the absolute times are this machine's, at this hour.
import os from 'node:os';
import { printMisses } from './lib/report.mjs';

const benchmarks = {
  'sql-5000': () => import('./benchmarks/sql.mjs'),
  'ts-1000': () => import('./benchmarks/modules.mjs'),
  'rollback-1000': () => import('./benchmarks/rollback.mjs'),
  'postgres-5000': () => import('./benchmarks/postgres.mjs'),
  'group-5000': () => import('./benchmarks/group.mjs'),
  'backup-1g': () => import('./benchmarks/backup.mjs'),
  'backup-200k': () => import('./benchmarks/backup-many.mjs'),
  start: () => import('./benchmarks/start.mjs'),
  'plan-2000': () => import('./benchmarks/plan.mjs'),
  'tty-5000': () => import('./benchmarks/tty.mjs'),
  serve: () => import('./benchmarks/serve.mjs'),
  'restart-20': () => import('./benchmarks/services.mjs'),
};

const args = process.argv.slice(2);
const at = args.indexOf('--rounds');
const rounds = at < 0 ? 5 : Number(args.splice(at, 2)[1]);
const unknown = args.filter((name) => !Object.hasOwn(benchmarks, name));
if (unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  console.error(`usage: node run.mjs [--rounds N] [${Object.keys(benchmarks).join('] [')}]`);
  process.exit(2);
}

const [cpu] = os.cpus();
console.log(
  `Node ${process.version}, ${os.cpus().length} cores (${cpu?.model.trim()}), ${os.type()} ${os.release()}, load ${os.loadavg()[0].toFixed(2)}; medians of ${rounds} rounds, scratch in ${os.tmpdir()}`,
);
for (const name of args.length > 0 ? args : Object.keys(benchmarks)) {
  const { run } = await benchmarks[name]();
  await run({ rounds });
}
printMisses();
