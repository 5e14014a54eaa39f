// `systemctl` and `journalctl` that are run where a test's systemd is, for code that runs outside of it. For a user's systemd. Gives a folder for the beginning of PATH.
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestSystemd } from './systemd-user.ts';

export function toolsInside({ inside, unitDir }: TestSystemd): string {
  // In the manager's home, which goes with it.
  const tools = mkdtempSync(path.join(path.dirname(path.dirname(unitDir)), 'tools-'));
  for (const tool of ['systemctl', 'journalctl']) {
    const command = inside([`/usr/bin/${tool}`]).map((word) => `'${word}'`);
    writeFileSync(path.join(tools, tool), `#!/bin/sh\nexec ${command.join(' ')} "$@"\n`);
    chmodSync(path.join(tools, tool), 0o755);
  }
  return tools;
}
