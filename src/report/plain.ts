// Tells people what a run does, line by line, and at its end what is installed now, what failed, why, and what to do next.
// Quiet prints that end only where something is wrong; verbose prints every line of the steps' output.
import type { UpgradeEvent } from '../model/event.ts';
import type { PhaseName } from '../model/run.ts';
import { bytes, count, duration, marks, wayOf } from './layout.ts';
import type { Ink } from './layout.ts';
import type { Output } from './output.ts';
import { findingLine, probeLine, restoredLine, serviceLine } from './plain-checks.ts';
import { createStepLines } from './plain-steps.ts';
import { asItIs } from './reporter.ts';
import type { Reporter, Scrub, Verbosity } from './reporter.ts';
import { readable, sanitize } from './sanitize.ts';
import { createScreen } from './screen.ts';
import { scrubValue } from './scrub.ts';
import { renderSummary } from './summary.ts';

export interface PlainOptions {
  readonly output: Output;
  readonly ink: Ink;
  readonly verbosity: Verbosity;
  readonly scrub?: Scrub;
}

export function createPlainReporter({ output, ink, verbosity, scrub = asItIs }: PlainOptions): Reporter {
  const screen = createScreen(output, ink, verbosity);
  const steps = createStepLines(screen);
  const clean = (text: string) => sanitize(scrub(text));
  let phase: PhaseName | null = null;
  let isNamed = false;
  /** What there is to say of a phase that is one line. */
  let note = '';

  /** The phase's name above what is told of it; a phase of which nothing is told gets one line when it ends. */
  function header(): void {
    if (phase === null || isNamed) return;
    isNamed = true;
    screen.print(phase === 'rollback' ? `${ink.back(marks.back)} ${ink.strong(phase)}` : `${ink.quiet(marks.going)} ${ink.strong(phase)}`);
  }

  function onEvent(raw: UpgradeEvent): void {
    if (verbosity === 'quiet') return;
    const event = scrubValue(raw.type === 'step-output' ? { ...raw, line: readable(raw.line) } : raw, clean);
    switch (event.type) {
      case 'run-started': {
        const size = `${count(event.steps, 'step')}${event.resumed ? ', taken up again' : ''}`;
        screen.print(`${ink.strong(event.product)}  ${wayOf(event)}  ${ink.quiet(size)}`);
        return screen.print('');
      }
      case 'phase-started':
        phase = event.phase;
        isNamed = false;
        note = '';
        steps.transition(null);
        return;
      case 'phase-finished': {
        const mark =
          event.status === 'failed' ? ink.bad(marks.failed) : event.phase === 'rollback' ? ink.back(marks.back) : ink.good(marks.done);
        if (!isNamed) screen.line(0, mark, `${ink.strong(event.phase)}${note === '' ? '' : `  ${note}`}`, event.durationMs);
        else if (event.status === 'failed') screen.line(0, mark, `${ink.strong(event.phase)} failed`, event.durationMs);
        phase = null;
        return;
      }
      case 'finding':
        if (event.finding.level !== 'info' || verbosity === 'verbose') header();
        return findingLine(screen, event.finding);
      case 'backup-verified':
        note = `${count(event.backup.files, 'file')}, ${bytes(event.backup.bytes)}, ${event.backup.verified ? 'read back and equal' : 'not verified'}`;
        return;
      case 'backup-pruned':
        if (verbosity === 'verbose') screen.line(2, ink.quiet(marks.note), `old backup ${event.id} removed`);
        return;
      case 'transition-started':
        header();
        return steps.transition(event);
      case 'step-started':
        header();
        return steps.started(event);
      case 'step-output':
        return steps.output(event);
      case 'step-finished':
        header();
        return steps.finished(event);
      case 'step-survivors':
        return steps.survivors(event);
      case 'image-ready':
        if (verbosity === 'verbose') screen.line(2, ink.good(marks.done), `image ${event.image} is there`);
        return;
      case 'service-settled':
        header();
        return serviceLine(screen, event.report);
      case 'probe-settled':
        header();
        return probeLine(screen, event.report);
      case 'soak-started':
        header();
        return screen.line(2, ink.quiet(marks.going), `all well so far: watched for ${duration(event.durationMs)}`);
      case 'restored':
        // The summary lists them; here their count is enough.
        if (verbosity !== 'verbose') return;
        header();
        return restoredLine(screen, event.restored);
      case 'drift':
        if (verbosity !== 'verbose') return;
        header();
        return screen.line(2, ink.back(marks.warning), `${event.drift.path}  ${event.drift.why}, left as it is`);
      case 'rollback-proven': {
        header();
        const left = event.drift === undefined ? '' : `, but ${count(event.drift, 'path')} that services have written to since`;
        const found = `${event.restored === 0 ? 'all as before' : `${event.restored} put back, now all as before`}${left}`;
        return screen.line(2, ink.good(marks.done), `${count(event.compared, 'path')} compared with the backup: ${found}`);
      }
      case 'warning':
        return screen.line(2, ink.back(marks.warning), event.message);
      // Told by what comes after them, or by the summary.
      case 'backup-progress':
      case 'image-progress':
      case 'step-progress':
      case 'service':
      case 'rollback-started':
      case 'version-written':
      case 'run-finished':
        return;
    }
  }

  return {
    onEvent,
    finish(result) {
      const isFine = result.outcome === 'committed' || result.outcome === 'nothing-to-do';
      if (verbosity === 'quiet' && isFine && result.warnings.length === 0) return;
      const lines = renderSummary(scrubValue(result, clean), { ink, columns: screen.columns, hasEvidence: verbosity !== 'quiet' });
      output.write(`\n${lines.map((line) => line.trimEnd()).join('\n')}\n`);
    },
  };
}
