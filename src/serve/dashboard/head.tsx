// What is installed, whether that is well, and whether we can still see it.
import { Logo } from './token.tsx';
import type { Known } from './store.ts';
import type { Status } from './types.ts';
import { count, type Tone } from './words.ts';

export function Head({ known, onLeave }: { readonly known: Known; readonly onLeave: () => void }) {
  const { status, connection, problem } = known;
  const badge = status === null ? null : badgeOf(status, known.run?.outcome === null);
  return (
    <>
      <header class="top">
        <div class="brand">
          <Logo />
          <h1>{status?.product ?? 'Rungs'}</h1>
        </div>
        {badge !== null && status !== null && (
          <p class={`badge ${badge.tone}`} role="status">
            <span class="light" aria-hidden="true" />
            <strong>{status.version ?? (status.ladders.length > 0 ? ladderText(status) : 'unknown version')}</strong>
            {status.latest !== null && status.latest !== status.version && (
              <span class="latest">
                <span aria-hidden="true">→</span> {status.latest} can be reached
              </span>
            )}
            <span class="says">{badge.text}</span>
          </p>
        )}
        <p class={`seen ${connection}`}>
          <span class="light" aria-hidden="true" />
          {connection === 'here' ? 'live' : connection === 'away' ? 'away' : 'connecting'}
        </p>
        <button type="button" class="plain" onClick={onLeave}>
          Forget token
        </button>
      </header>
      {connection === 'away' && (
        <p class="away" role="alert">
          The server does not answer; what is shown is what was known last. {problem} It is asked again until it is back.
        </p>
      )}
    </>
  );
}

function badgeOf(status: Status, isRunning: boolean): { readonly tone: Tone; readonly text: string } {
  if (status.lock !== null && isRunning) return { tone: 'live', text: 'an upgrade is going on' };
  const pending = status.pending.length + status.ladders.reduce((sum, ladder) => sum + ladder.pending, 0);
  switch (status.state) {
    case 'up-to-date':
      return { tone: 'good', text: 'up to date' };
    case 'pending':
      return { tone: 'warn', text: `${count(pending, 'transition')} pending` };
    case 'unfinished':
      return { tone: 'warn', text: 'a run is unfinished: upgrade resume, or upgrade rollback' };
    case 'error':
      return { tone: 'bad', text: status.run?.outcome === 'stranded' ? 'stranded: upgrade rollback tries again' : 'something is wrong' };
  }
}

function ladderText({ ladders }: Status): string {
  return ladders.map(({ name, height, latest }) => `${name} ${height} of ${latest}`).join(', ');
}
