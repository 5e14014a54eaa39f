// An installation with something to see: several versions with a shortcut, a stop and a blocked way, a real service, probes, and steps that take
// as long as a test wants.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { makeSmall, type Small } from '../cli/installation.ts';

const service = `#!/bin/sh
cd "$(dirname "$0")/.."
stop() { [ -f run.pid ] && kill "$(cat run.pid)" 2>/dev/null; rm -f run.pid; true; }
start() { sleep 100000 >/dev/null 2>&1 & echo $! > run.pid; }
case "$1" in
  restart) stop; start ;;
  start) start ;;
  stop) stop ;;
  health) kill -0 "$(cat run.pid)" ;;
esac
`;
const config = `services:
  web: { command: { restart: [bin/web, restart], start: [bin/web, start], stop: [bin/web, stop], health: [bin/web, health] }, pidFile: run.pid, stableFor: 100ms }
verify:
  - { name: settings are there, file: config/app.yaml, expect: { contains: small } }
  - { name: users kept, sqlite: app, query: "select count(*) from users", expect: { value: 2 } }
`;

const sql = (table: string) => `-- rungs: { database: app, requires_restart: [web] }
-- forward
CREATE TABLE ${table} (id INTEGER PRIMARY KEY);
-- backward
DROP TABLE ${table};
`;
/** Waits for the file `go` in the root, telling of it; then fails where it says so. */
const patient = `import { defineStep } from 'rungs';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
export default defineStep({
  description: 'Count what has to be counted',
  forward: async ({ root, log, progress }) => {
    const go = path.join(root, 'go');
    log('<img src=x onerror="document.title=1"> \\u001b[31mred\\u001b[0m');
    for (let done = 0; !existsSync(go) && done < 3000; done += 1) {
      progress(done % 100, 100, 'rows');
      log('counted ' + done);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (readFileSync(go, 'utf8').includes('fail')) throw new Error('row 4711 <b>cannot</b> be counted');
  },
  backward: async () => {},
});
`;

export interface Scene extends Small {
  /** Lets the patient step go on. */
  go(how: 'well' | 'fail'): void;
  remove(): void;
}

/** `steps`: how many the transition to 3.0.0 has before the patient one. */
export function makeScene({ steps = 12 }: { readonly steps?: number } = {}): Scene {
  const many = Object.fromEntries(
    Array.from({ length: steps }, (_, index) => [
      `migrations/v2.0.0_to_v3.0.0/${String(index + 1).padStart(4, '0')}_table_${index + 1}.sql`,
      sql(`many_${index + 1}`),
    ]),
  );
  const small = makeSmall({
    isKept: true,
    config,
    files: {
      'inst/bin/web': { text: service, mode: 0o755 },
      'migrations/v1.1.0_to_v2.0.0/transition.yaml': 'description: Notes of their own\nstop: true\n',
      'migrations/v1.0.0_to_v2.0.0/001_both.sql': sql('both_at_once'),
      'migrations/v2.0.0_to_v2.1.0/transition.yaml': 'description: Withdrawn\nblocked: it lost the order of notes\n',
      'migrations/v2.0.0_to_v2.1.0/001_x.sql': sql('withdrawn'),
      'migrations/v2.0.0_to_v3.0.0/transition.yaml': 'description: Everything counted\nbreaking: true\n',
      ...many,
      [`migrations/v2.0.0_to_v3.0.0/${String(steps + 1).padStart(4, '0')}_count.ts`]: patient,
    },
  });
  const started = spawnSync(path.join(small.root, 'bin/web'), ['start'], { cwd: small.root, stdio: 'ignore' });
  if (started.status !== 0) throw new Error('the service did not start');
  const go = path.join(small.root, 'go');
  return {
    ...small,
    go: (how) => writeFileSync(go, how),
    remove() {
      const pid = path.join(small.root, 'run.pid');
      if (existsSync(pid)) {
        try {
          process.kill(Number(readFileSync(pid, 'utf8')));
        } catch {
          // It has ended by itself.
        }
      }
      rmSync(small.dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
