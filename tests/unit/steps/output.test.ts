import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { createOutput } from '../../../src/steps/output.ts';

const dir = mkdtempSync(join(tmpdir(), 'rungs-output-'));
afterAll(() => rmSync(dir, { recursive: true }));
const prefix = '\0rungs nonce ';
let files = 0;

function open(scrub: (text: string) => string = (text) => text) {
  files += 1;
  const file = join(dir, `${files}.log`);
  const lines: string[] = [];
  const problems: string[] = [];
  const output = createOutput({
    file,
    scrub,
    controlPrefix: prefix,
    onLine: (stream, line) => void lines.push(`${stream} ${line}`),
    onLogProblem: (problem) => void problems.push(problem),
  });
  return { output, lines, problems, file };
}

test('wherever the chunks are cut, lines, log lines and the end are told apart', () => {
  const bytes = Buffer.from(`one\n${prefix}Ltwo äö\nno end${prefix}E\n`);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 6 }), (cuts) => {
      const { output, lines } = open();
      let told = 0;
      output.whenComplete(() => {
        told += 1;
      });
      const points = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
      for (const [at, from] of points.slice(0, -1).entries()) output.write('stdout', Buffer.from(bytes.subarray(from, points[at + 1])));
      expect([lines, told, output.isComplete()]).toEqual([['stdout one', 'log two äö', 'stdout no end'], 0, false]);
      output.write('stderr', Buffer.from(`${prefix}E\n`));
      expect([told, output.isComplete()]).toEqual([1, true]);
      expect(output.close()).toEqual(['one', 'two äö', 'no end']);
    }),
    { numRuns: 60 },
  );
});

test('a secret is scrubbed wherever the flood cuts it, and the end is found in the flood', () => {
  const { output, file } = open((text) => text.replaceAll('hunter2', '***'));
  const line = `${'x'.repeat(50)}hunter2${'y'.repeat(50)}\n`;
  const bytes = Buffer.from(line.repeat(80_000));
  for (let at = 0; at < bytes.length; at += 65_521) output.write('stdout', Buffer.from(bytes.subarray(at, at + 65_521)));
  const end = Buffer.from(`last${prefix}E\n`);
  output.write('stdout', Buffer.from(end.subarray(0, 9)));
  output.write('stdout', Buffer.from(end.subarray(9)));
  output.write('stderr', Buffer.from(`${prefix}E\n`));
  expect(output.isComplete()).toBe(true);
  expect(output.close().at(-1)).toBe('last');
  const log = readFileSync(file, 'utf8');
  expect([log.includes('hunter2'), /… \d+ bytes left out …/.test(log), log.length < 4.5 * 1024 * 1024]).toEqual([false, true, true]);
});

test('a log that cannot be written is told once, and the output goes on', () => {
  const lines: string[] = [];
  const problems: string[] = [];
  writeFileSync(join(dir, 'a-file'), '');
  const output = createOutput({
    file: join(dir, 'a-file/x.log'),
    scrub: (text) => text,
    controlPrefix: null,
    onLine: (_, line) => void lines.push(line),
    onLogProblem: (problem) => void problems.push(problem),
  });
  output.write('stdout', Buffer.from('a\nb\n'));
  output.write('stderr', Buffer.from('c\n'));
  expect([output.close(), lines, problems.length]).toEqual([['a', 'b', 'c'], ['a', 'b', 'c'], 1]);
});
