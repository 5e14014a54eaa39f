// The same as backup-1g with 200,000 small files and no large ones: memory must not grow with their number.
import { run as runBackup } from './backup.mjs';

export function run({ rounds }) {
  return runBackup({ rounds, files: 200_000, large: 0, name: 'backup-200k' });
}
