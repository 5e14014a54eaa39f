// The run that goes on, or the last one: its phases, its steps, what it prints, and why it failed.
import { memo } from 'preact/compat';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Bar, Card, FailureBox, Mark, Pill } from './parts.tsx';
import type { Failure, Progress, Run } from './types.ts';
import { bytes, count, duration, moment, outcomes, stepTones, way, type Tone } from './words.ts';

const order = ['preflight', 'backup', 'discovery', 'orchestration', 'restart', 'verify', 'commit'] as const;

interface Shown {
  readonly run: Run | null;
  readonly progress: Progress | null;
  readonly output: readonly string[];
  /** What keeps the state from being told. */
  readonly problems: readonly Failure[];
}

export function LiveRun({ run, progress, output, problems }: Shown) {
  if (run === null) {
    return (
      <Card title="No run yet" id="run">
        {problems.length === 0 ? (
          <p class="quiet">"upgrade plan" shows what would be done, "upgrade" does it.</p>
        ) : (
          problems.map((one) => <FailureBox failure={one} />)
        )}
      </Card>
    );
  }
  const isLive = run.outcome === null;
  const { tone, text } =
    run.outcome === null
      ? { tone: 'live' as Tone, text: run.course === 'backwards' ? 'rolling back' : 'going on' }
      : (outcomes[run.outcome] ?? { tone: 'quiet' as Tone, text: run.outcome });
  return (
    <Card title={isLive ? `Upgrade ${way(run)}` : `Last run: ${way(run)}`} id="run" aside={<Pill tone={tone}>{text}</Pill>}>
      {problems.map((one) => (
        <FailureBox failure={one} />
      ))}
      <Phases run={run} />
      {isLive && <Now run={run} progress={progress} />}
      {run.failures.map((failure) => (
        <FailureBox failure={failure} />
      ))}
      {run.next !== null && !isLive && (
        <p class="next">
          Next: <code>{run.next}</code>
        </p>
      )}
      {run.restored.length > 0 && (
        <details>
          <summary>{count(run.restored.length, 'path')} put back from the backup</summary>
          <ul class="paths">
            {run.restored.slice(0, 200).map(({ path, why }) => (
              <li>
                <code>{path}</code> <span class="quiet">{why}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
      {run.warnings.map((warning) => (
        <p class="warning">! {warning}</p>
      ))}
      <Steps run={run} />
      {output.length > 0 && (
        <>
          <h3 id="output">Output</h3>
          <Output lines={output.slice(-100)} />
        </>
      )}
      <p class="foot quiet">
        Begun {moment(run.startedAt)} on {run.host} · <code>{run.id}</code>
      </p>
    </Card>
  );
}

/** Stays at its end, but for who has scrolled up to read. */
function Output({ lines }: { readonly lines: readonly string[] }) {
  const box = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  useLayoutEffect(() => {
    if (isAtEnd.current && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  });
  return (
    <pre
      class="log"
      ref={box}
      tabIndex={0}
      role="log"
      aria-labelledby="output"
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 24;
      }}
    >
      {lines.join('\n')}
    </pre>
  );
}

function Phases({ run }: { readonly run: Run }) {
  const names = run.phases.some(({ name }) => name === 'rollback') ? [...order, 'rollback' as const] : order;
  return (
    <ol class="phases" aria-label="Phases">
      {names.map((name) => {
        const phase = run.phases.find((one) => one.name === name);
        const tone: Tone =
          phase === undefined
            ? 'quiet'
            : phase.status === 'done'
              ? 'good'
              : phase.status === 'failed'
                ? 'bad'
                : run.outcome === null
                  ? 'live'
                  : 'quiet';
        const state = phase === undefined ? 'not begun' : phase.status;
        return (
          <li class={tone} aria-current={tone === 'live' ? 'step' : undefined}>
            <Mark tone={tone} />
            <span class="name">{name}</span>
            <span class="hidden">{state}</span>
            {phase !== undefined && phase.status !== 'running' && <span class="took">{duration(phase.durationMs)}</span>}
          </li>
        );
      })}
    </ol>
  );
}

function Now({ run, progress }: { readonly run: Run; readonly progress: Progress | null }) {
  const ended = run.steps.filter(({ status }) =>
    run.course === 'backwards' ? status === 'pending' || status === 'reverted' || status === 'not-run' : status === 'applied',
  ).length;
  const step = progress?.step ?? null;
  const backup = progress?.backup ?? null;
  return (
    <div class="now">
      {backup !== null && (
        <>
          <p>
            Backup: {bytes(backup.doneBytes)} of {bytes(backup.totalBytes)}
          </p>
          <Bar label="Bytes of the backup" done={backup.doneBytes} total={backup.totalBytes} />
        </>
      )}
      {run.steps.length > 0 && backup === null && (
        <>
          <p>
            {run.course === 'backwards' ? 'Taken back or never begun' : 'Applied'}: {ended.toLocaleString('en')} of{' '}
            {count(run.steps.length, 'step')}
          </p>
          <Bar label="Steps" done={ended} total={run.steps.length} />
        </>
      )}
      {step !== null && (
        <p class="step-now">
          <Mark tone="live" /> <code>{step.id}</code> {step.description}
          {step.done !== null && (
            <span class="quiet">
              {' '}
              {step.done.toLocaleString('en')}
              {step.total === null ? '' : ` of ${step.total.toLocaleString('en')}`} {step.note}
            </span>
          )}
        </p>
      )}
      {step !== null && step.done !== null && step.total !== null && <Bar label="The running step" done={step.done} total={step.total} />}
    </div>
  );
}

type Step = Run['steps'][number];

function Steps({ run }: { readonly run: Run }) {
  const groups = new Map<string, Step[]>();
  for (const step of run.steps) {
    const name = step.id.slice(0, Math.max(0, step.id.lastIndexOf('/')));
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [step]);
    else group.push(step);
  }
  if (run.steps.length === 0) return null;
  return (
    <>
      <h3>Steps</h3>
      {[...groups].map(([name, steps]) => (
        <Group key={name} name={name} steps={steps} isAlone={groups.size === 1} />
      ))}
    </>
  );
}

const shownAtOnce = 16;

function Group({ name, steps, isAlone }: { readonly name: string; readonly steps: readonly Step[]; readonly isAlone: boolean }) {
  const [isWhole, setWhole] = useState(false);
  const [choice, setChoice] = useState<boolean | null>(null);
  const counts = new Map<Tone, number>();
  for (const { status } of steps) counts.set(toneOf(status), (counts.get(toneOf(status)) ?? 0) + 1);
  const isActive = steps.some(({ status }) => toneOf(status) === 'live' || toneOf(status) === 'bad');
  const isOpen = choice ?? (isAlone || isActive || steps.length <= 12);
  // Of many, those around the place where something happens.
  const at = Math.max(
    0,
    steps.findIndex(({ status }) => toneOf(status) === 'live' || toneOf(status) === 'bad'),
  );
  const from = isWhole ? 0 : Math.max(0, Math.min(at - shownAtOnce / 2, steps.length - shownAtOnce));
  const shown = isWhole ? steps : steps.slice(from, from + shownAtOnce);
  return (
    <details class="group" open={isOpen}>
      <summary
        onClick={(event) => {
          event.preventDefault();
          setChoice(!isOpen);
        }}
      >
        <span class="name">{name.replace(/^v(.+)_to_v(.+)$/, '$1 → $2')}</span>
        <Strip counts={counts} total={steps.length} />
        <span class="quiet">{count(steps.length, 'step')}</span>
      </summary>
      {isOpen && (
        <>
          <ol class="steps" start={from + 1}>
            {shown.map((step) => (
              <Row key={step.id} step={step} />
            ))}
          </ol>
          {steps.length > shown.length && (
            <button type="button" class="plain" onClick={() => setWhole(true)}>
              Show all {steps.length.toLocaleString('en')} steps
            </button>
          )}
        </>
      )}
    </details>
  );
}

const Row = memo(({ step }: { readonly step: Step }) => (
  <li>
    <Mark tone={toneOf(step.status)} />
    <span class="name">{step.id.slice(step.id.lastIndexOf('/') + 1)}</span>
    <span class="status">{step.status}</span>
    <span class="took">{step.durationMs === null || step.durationMs === 0 ? '' : duration(step.durationMs)}</span>
  </li>
));

function Strip({ counts, total }: { readonly counts: ReadonlyMap<Tone, number>; readonly total: number }) {
  const tones: readonly Tone[] = ['good', 'warn', 'bad', 'live', 'quiet'];
  return (
    <span class="strip" aria-hidden="true">
      {tones.map((tone) => {
        const part = counts.get(tone) ?? 0;
        return part === 0 ? null : <span class={tone} style={{ width: `${(part / total) * 100}%` }} />;
      })}
    </span>
  );
}

function toneOf(status: string): Tone {
  return stepTones[status] ?? 'quiet';
}
