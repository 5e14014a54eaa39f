// The backups: how old, how big, and whether each was read back.
import { Card, Pill } from './parts.tsx';
import type { Backup } from './types.ts';
import { ago, bytes, count } from './words.ts';

const shown = 8;

export function Backups({ backups }: { readonly backups: readonly Backup[] }) {
  const now = Date.now();
  return (
    <Card title="Backups" id="backups" aside={<span class="quiet">{count(backups.length, 'backup')}</span>}>
      {backups.length === 0 ? (
        <p class="quiet">There is none yet. Every upgrade makes one, and "upgrade backup create" does so now.</p>
      ) : (
        <ul class="rows">
          {backups.slice(0, shown).map(({ id, createdAt, version, bytes: size, files, verified }) => (
            <li key={id}>
              <span class="strong">{version ?? 'by hand'}</span>
              <span>
                <time dateTime={createdAt}>{ago(createdAt, now)}</time>
                <span class="quiet">
                  {' '}
                  {bytes(size)}, {count(files, 'file')}
                </span>
              </span>
              {verified ? <Pill tone="good">verified</Pill> : <Pill tone="bad">not verified</Pill>}
            </li>
          ))}
          {backups.length > shown && <li class="quiet">… and {backups.length - shown} more</li>}
        </ul>
      )}
    </Card>
  );
}
