// 20 independent containers that one upgrade restarts, beside an upgrade that restarts the slowest of them alone; and how long after the
// engine's health check has passed a wait ends. On an engine of its own, so it needs root, dockerd and a static busybox.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDaemon } from '../../tests/support/docker-daemon.ts';
import { makeImage } from '../../tests/support/docker-images.ts';
import * as commands from '../lib/commands.mjs';
import { takeTurns } from '../lib/measure.mjs';
import { printBound, printTable } from '../lib/report.mjs';

const count = 20;
/** Seconds until the last of them is ready; the first takes half of it. */
const slowest = 12;
const names = Array.from({ length: count }, (_, index) => `n${index}`);

export async function run({ rounds }) {
  if (process.getuid?.() !== 0 || spawnSync('dockerd', ['--version']).status !== 0 || spawnSync('busybox', ['true']).status !== 0)
    return console.log('\nrestart-20: left out, it needs root, dockerd (docker.io) and busybox (busybox-static)');
  const engine = await startDaemon();
  Object.assign(process.env, engine.env);
  try {
    await makeImage(engine, 'slow:1', { behaviour: 'slow', hasHealthCheck: false });
    // Once a second: what is measured is Rungs, not how many health checks a machine can run.
    const check = ['--health-cmd', 'test -e /tmp/well', '--health-interval', '1s'];
    for (const [index, name] of names.entries()) {
      const after = slowest * (0.5 + (0.5 * index) / (count - 1));
      const script = `rm -f /tmp/well; sleep ${after}; . /lib/server.sh; serve`;
      const options = ['--name', name, '--network', 'none', '--stop-timeout', '1', ...check, '--entrypoint', 'sh'];
      await engine.docker('run', '--detach', ...options, 'slow:1', '-c', script);
    }
    const lags = [];
    const contestant = (name, restarted) => ({
      name,
      prepare: (dir) => installation(dir, restarted),
      command: () => commands.upgrade('--yes', '--events'),
      check: (_, stdout) => lags.push(...lagsOf(restarted, stdout)),
      measure: (_, stdout) => eventsOf(stdout).find(({ type, phase }) => type === 'phase-finished' && phase === 'restart').durationMs,
    });
    const results = await takeTurns([contestant('the slowest alone', names.slice(-1)), contestant(`all ${count}`, names)], { rounds });
    printTable(`restart-20: ${count} containers restarted, the restart phase`, results, { against: 'the slowest alone' });
    printBound(`all ${count} / the slowest alone`, results.get(`all ${count}`).ms / results.get('the slowest alone').ms, 1.3);
    printBound(`the longest wait after a container was healthy (of ${lags.length})`, Math.max(...lags), 250, ' ms');
  } finally {
    await engine.end();
  }
}

function installation(dir, restarted) {
  const services = restarted.map((name) => `  ${name}: { docker: ${name}, timeout: 120s, stableFor: 0s }\n`);
  writeFileSync(join(dir, 'VERSION'), '1.0.0\n');
  writeFileSync(join(dir, 'upgrade.yaml'), `product: bench\nversion: { file: VERSION }\nservices:\n${services.join('')}`);
  const folder = join(dir, 'migrations', 'v1.0.0_to_v1.1.0');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, '001_restart.sh'), '#!/bin/sh\n# rungs: { requires_restart: ["*"] }\ntrue\n', { mode: 0o755 });
}

/** Milliseconds between the end of the first health check that passed, as the engine has it, and the event that tells so. */
function lagsOf(restarted, stdout) {
  const settled = new Map(eventsOf(stdout).flatMap((event) => (event.type === 'service-settled' ? [[event.report.name, event.at]] : [])));
  return JSON.parse(execFileSync('docker', ['container', 'inspect', ...restarted], { encoding: 'utf8' })).flatMap(({ Name, State }) => {
    const passed = State.Health.Log.find(({ ExitCode }) => ExitCode === 0);
    // The engine keeps the last five: that of a container which was ready long before the last is gone by now.
    const isFirst = State.Health.Log.indexOf(passed) > 0;
    return isFirst ? [Date.parse(settled.get(Name.slice(1))) - Date.parse(passed.End)] : [];
  });
}

function eventsOf(stdout) {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}
