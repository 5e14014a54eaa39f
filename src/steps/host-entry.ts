// Where the step host's program lies: beside the bundle when installed, in the source tree while developing.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export function hostEntry(): string {
  const bundled = fileURLToPath(new URL('./step-host.js', import.meta.url));
  return existsSync(bundled) ? bundled : fileURLToPath(new URL('./host/main.ts', import.meta.url));
}
