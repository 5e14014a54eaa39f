// Pieces that all parts of the page are made of.
import type { ComponentChildren } from 'preact';
import type { Failure } from './types.ts';
import { glyphs, type Tone } from './words.ts';

export function Card({
  title,
  aside,
  children,
  id,
}: {
  readonly title: string;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
  readonly id: string;
}) {
  return (
    <section class="card" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {aside !== undefined && <div class="aside">{aside}</div>}
      </header>
      {children}
    </section>
  );
}

export function Mark({ tone }: { readonly tone: Tone }) {
  return (
    <span class={`mark ${tone}`} aria-hidden="true">
      {glyphs[tone]}
    </span>
  );
}

export function Pill({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }) {
  return (
    <span class={`pill ${tone}`}>
      <Mark tone={tone} />
      {children}
    </span>
  );
}

/** With its hint, and the last lines of what failed. */
export function FailureBox({ failure }: { readonly failure: Failure }) {
  const where = [failure.step, failure.phase === undefined ? undefined : `in ${failure.phase}`, placeText(failure)].filter(
    (part) => part !== undefined,
  );
  return (
    <div class="failure">
      <p class="what">
        <Mark tone="bad" /> {failure.message}
      </p>
      <p class="where">
        <code>{failure.code}</code>
        {where.map((part) => ` · ${part}`).join('')}
      </p>
      {failure.log !== undefined && failure.log.length > 0 && (
        <pre tabIndex={0} aria-label="The last lines of its output">
          {failure.log.join('\n')}
        </pre>
      )}
      <p class="hint">
        <span aria-hidden="true">→</span> {failure.hint}
      </p>
    </div>
  );
}

function placeText({ place }: Failure): string | undefined {
  return place === undefined ? undefined : [place.file, place.line].filter((part) => part !== undefined).join(':');
}

export function Bar({ label, done, total }: { readonly label: string; readonly done: number; readonly total: number }) {
  const share = total <= 0 ? 0 : Math.min(100, (done / total) * 100);
  return (
    <div class="bar" role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share)}>
      <div class="fill" style={{ width: `${share}%` }} />
    </div>
  );
}
