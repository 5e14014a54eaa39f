// What is drawn of a run while it goes on, and how it gets onto the terminal.
import { describe, expect, test } from 'vitest';
import type { EventBody } from '../../../src/model/event.ts';
import type { Outlook } from '../../../src/model/outlook.ts';
import { createInk, width } from '../../../src/report/layout.ts';
import { createPainter } from '../../../src/report/live/painter.ts';
import { timeLeft } from '../../../src/report/live/time-left.ts';
import { createTree, type Tree } from '../../../src/report/live/tree.ts';
import { drawTree } from '../../../src/report/live/view.ts';
import { createOutput } from '../../../src/report/output.ts';

const folder = 'v1.0.0_to_v2.0.0';
const ink = createInk(false);
const stepId = (number: number): string => `${folder}/${String(number).padStart(4, '0')}_step`;

function outlookOf(steps: number, estimatedMs: number | null): Outlook {
  return {
    transitions: [
      {
        id: folder,
        from: '1.0.0',
        to: '2.0.0',
        steps: Array.from({ length: steps }, (_, at) => ({
          id: stepId(at + 1),
          description: 'Übungen für 東京 and everybody else',
          estimatedMs,
          isDone: false,
        })),
      },
    ],
    phaseMs: { verify: 2_000, restart: 1_000 },
  };
}

/** Up to the beginning of a step; each of those before took 100 ms. */
function treeAt(step: number, total: number, outlook: Outlook | null): Tree {
  const tree = createTree(outlook);
  const tell = (at: number, body: EventBody): void => void tree.onEvent({ ...body, seq: 1, at: new Date(at).toISOString(), runId: 'r' });
  tell(0, { type: 'run-started', product: 'p', from: '1.0.0', to: '2.0.0', steps: total, resumed: false });
  tell(0, { type: 'phase-started', phase: 'orchestration' });
  tell(0, { type: 'transition-started', transition: folder, from: '1.0.0', to: '2.0.0' });
  for (let number = 1; number <= step; number += 1) {
    tell((number - 1) * 100, { type: 'step-started', step: stepId(number), action: 'apply', description: '' });
    if (number < step)
      tell(number * 100, { type: 'step-finished', step: stepId(number), action: 'apply', status: 'applied', durationMs: 100 });
  }
  tell((step - 1) * 100, { type: 'step-output', step: stepId(step), stream: 'stdout', line: '東京'.repeat(200), transient: true });
  tell((step - 1) * 100, { type: 'step-progress', step: stepId(step), done: 3, total: 4, note: 'far\nalready', transient: true });
  return tree;
}

describe('of any run', () => {
  const sizes = [20, 40, 60, 100, 200].flatMap((columns) => [5, 8, 16, 50].map((rows) => ({ columns, rows })));
  const trees = (
    [
      [1, 1],
      [1, 5],
      [3, 5],
      [5, 5],
      [400, 1_500],
    ] as const
  ).flatMap(([step, total]) => [outlookOf(total, null), null].map((outlook) => ({ step, outlook, tree: treeAt(step, total, outlook) })));

  test.each(sizes)('no more is drawn than $columns columns and $rows rows hold, and the running step is among it', ({ columns, rows }) => {
    for (const { step, outlook, tree } of trees) {
      const lines = drawTree(tree, outlook, { ink, columns, rows, now: step * 100 });
      expect(lines.length).toBeLessThanOrEqual(Math.max(rows - 1, 7));
      for (const line of lines) {
        expect(width(line)).toBeLessThan(columns);
        expect(line).not.toMatch(/[\n\t]/);
      }
      if (rows >= 16 && columns >= 40) expect(lines.join('\n')).toContain(stepId(step).slice(folder.length + 1));
    }
  });
});

describe('the time that is left', () => {
  test.each([
    {
      why: 'what steps say, less what has passed, and the phases to come',
      estimate: 400,
      step: 2,
      total: 3,
      now: 100,
      left: 33 + 400 + 3_000,
    },
    {
      why: 'unknown steps are like the others once there are enough',
      estimate: null,
      step: 11,
      total: 21,
      now: 1_075,
      left: 25 + 10 * 100 + 3_000,
    },
    { why: 'too few steps tell nothing', estimate: null, step: 3, total: 21, now: 300, left: null },
  ])('$why', ({ estimate, step, total, now, left }) => {
    const outlook = outlookOf(total, estimate);
    const told = timeLeft(treeAt(step, total, outlook), outlook, now);
    if (left === null) expect(told).toBeNull();
    else expect(Math.abs((told ?? 0) - left)).toBeLessThanOrEqual(estimate === null ? 1 : 34);
  });
});

describe('the painter', () => {
  function painted(): {
    readonly painter: ReturnType<typeof createPainter>;
    readonly taken: () => string;
    readonly size: { columns: number };
  } {
    let text = '';
    const size = { columns: 80 };
    const output = createOutput({
      write: (piece) => void (text += piece),
      isTTY: true,
      get columns() {
        return size.columns;
      },
    });
    return {
      painter: createPainter(output),
      size,
      taken: () => {
        const taken = text;
        text = '';
        return taken;
      },
    };
  }
  const escape = '\u001b[';

  test('writes only the line that differs, and nothing where none does', () => {
    const { painter, taken } = painted();
    painter.draw(['one', 'two', 'three']);
    taken();
    painter.draw(['one', 'two', 'three']);
    expect(taken()).toBe('');
    painter.draw(['one', 'TWO', 'three']);
    const text = taken();
    expect(text).toContain(`\r${escape}2ATWO${escape}K\n${escape}1E`);
    expect(text).not.toMatch(/one|three/);
  });

  test('each drawing is one that a terminal shows at once, and leaves the cursor to be seen and lines to be wrapped', () => {
    const { painter, taken } = painted();
    for (const draw of [
      () => painter.draw(['a']),
      () => painter.print(['stays']),
      () => painter.draw(['a', 'b']),
      () => painter.draw([]),
    ]) {
      draw();
      const text = taken();
      expect(text.startsWith(`${escape}?2026h`)).toBe(true);
      expect(text.endsWith(`${escape}?7h${escape}?25h${escape}?2026l`)).toBe(true);
    }
  });

  test('after the terminal was made narrower it goes up over the rows that its lines take now', () => {
    const { painter, size, taken } = painted();
    painter.draw(['x'.repeat(79), 'short', '']);
    taken();
    size.columns = 40;
    painter.resized();
    painter.draw(['x', 'short', '']);
    expect(taken()).toContain(`\r${escape}4Ax`);
  });
});
