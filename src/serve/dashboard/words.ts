// Words for people: durations, sizes, ages, and what states are called.
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(1, Math.round(ms))} ms`;
  const seconds = ms / 1_000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

export function ago(iso: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(iso)) / 1_000));
  if (seconds < 60) return 'just now';
  const steps: readonly (readonly [number, string])[] = [
    [86_400, 'day'],
    [3_600, 'hour'],
    [60, 'minute'],
  ];
  const [size, name] = steps.find(([one]) => seconds >= one) ?? [60, 'minute'];
  const count = Math.floor(seconds / size);
  return `${count} ${name}${count === 1 ? '' : 's'} ago`;
}

export function moment(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

export function count(number: number, one: string): string {
  return `${number.toLocaleString('en')} ${one}${number === 1 ? '' : 's'}`;
}

export function way(run: { readonly from: string | null; readonly to: string | null }): string {
  if (run.from !== run.to) return `${run.from ?? '?'} → ${run.to ?? '?'}`;
  return run.from === null ? 'ladders' : `ladders at ${run.from}`;
}

/** How things stand by colour, and never by colour alone. */
export type Tone = 'good' | 'warn' | 'bad' | 'quiet' | 'live';

export const outcomes: Readonly<Record<string, { readonly tone: Tone; readonly text: string }>> = {
  committed: { tone: 'good', text: 'committed' },
  'nothing-to-do': { tone: 'quiet', text: 'nothing to do' },
  refused: { tone: 'warn', text: 'refused' },
  'rolled-back': { tone: 'warn', text: 'rolled back' },
  stopped: { tone: 'warn', text: 'stopped' },
  stranded: { tone: 'bad', text: 'stranded' },
};

export const stepTones: Readonly<Record<string, Tone>> = {
  pending: 'quiet',
  'not-run': 'quiet',
  running: 'live',
  reverting: 'live',
  applied: 'good',
  reverted: 'warn',
  failed: 'bad',
  'revert-failed': 'bad',
  'in-doubt': 'bad',
};

export const glyphs: Readonly<Record<Tone, string>> = { good: '✓', warn: '↩', bad: '✗', quiet: '·', live: '▸' };
