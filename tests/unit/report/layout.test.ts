import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytes, createInk, duration, hanging, moment, spread, wantsColor, width, wrap } from '../../../src/report/layout.ts';
import { table } from '../../../src/report/table.ts';

test.each([
  [0.4, '<1 ms'],
  [5, '5 ms'],
  [999, '999 ms'],
  [1_000, '1.0 s'],
  [1_240, '1.2 s'],
  [59_900, '59.9 s'],
  [59_960, '1 min'],
  [64_000, '1 min 4 s'],
  [3_600_000, '1 h'],
  [7_500_000, '2 h 5 min'],
])('%d ms is %s', (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [1_234_567, '1.2 MB'],
  [99_400_000, '99.4 MB'],
  [123_456_789, '123 MB'],
  [999_600, '1.0 MB'],
  [5e12, '5.0 TB'],
  [5e16, '50000 TB'],
])('%d bytes are %s', (count, text) => expect(bytes(count)).toBe(text));

test('a moment is read by people', () => {
  expect([moment('2026-01-02T03:04:05.678Z'), moment('2026-01-02T03:04:05Z')]).toEqual([
    '2026-01-02 03:04:05 UTC',
    '2026-01-02 03:04:05 UTC',
  ]);
});

describe('width and wrapping', () => {
  test.each([
    ['abc', 3],
    ['naïve', 5],
    ['e\u0301', 1],
    ['日本', 4],
    ['😀', 2],
    ['\u001b[31mred\u001b[39m', 3],
  ])('%j takes %d columns', (text, columns) => expect(width(text)).toBe(columns));

  test('a text is broken between words and keeps its own line breaks', () => {
    expect(wrap('one two three\n\nfour', 10)).toEqual(['one two', 'three', '', 'four']);
    // A number stays with its unit.
    expect(wrap('restart 1.4 s, verify 426 ms', 12)).toEqual(['restart', '1.4 s,', 'verify', '426 ms']);
  });

  test('a long path is broken behind a slash, a long word anywhere', () => {
    expect(wrap('/srv/home-server/backups/x.tar', 20)).toEqual(['/srv/home-server/', 'backups/x.tar']);
    expect(wrap('abcdefghijklmno', 10)).toEqual(['abcdefghij', 'klmno']);
  });

  test('no line is ever too wide, no character is lost, and no colour is cut in two', () => {
    const ink = createInk(true);
    const word = fc
      .oneof(
        fc.string({ maxLength: 30 }),
        fc.string({ maxLength: 30, unit: 'grapheme' }),
        fc.string({ minLength: 1, maxLength: 40 }).map((text) => ink.bad(text)),
      )
      .filter((text) => !/[\u0000-\u001a\u001c-\u001f\u007f-\u009f]/.test(text));
    fc.assert(
      fc.property(fc.array(word), fc.integer({ min: 10, max: 80 }), (words, columns) => {
        const lines = wrap(words.join(' '), columns);
        expect(Math.max(...lines.map(width))).toBeLessThanOrEqual(columns);
        expect(lines.join('').replaceAll(' ', '')).toBe(words.join('').replaceAll(' ', ''));
        // What is left of every escape is whole.
        expect(
          lines.every((line) => !/\u001b(?!\[[0-9;]*m)/.test(line.replaceAll(ink.bad(''), ''))) ||
            words.some((text) => /\u001b(?!\[[0-9;]*m)/.test(text)),
        ).toBe(true);
      }),
    );
  });

  test('further lines stand under the first', () => {
    expect(hanging('✗ ', 'one two three', 11)).toEqual(['✗ one two', '  three']);
  });

  test('what is at the right edge stays there while it fits', () => {
    expect([spread('left', '5 ms', 12), spread('a long left part', '5 ms', 12)]).toEqual(['left    5 ms', 'a long left part  5 ms']);
  });

  test('a table that is too wide is wrapped by row', () => {
    const rows = [
      { mark: '✓', cells: ['one', 'two'] },
      { mark: '✗', cells: ['eleven', ''] },
    ];
    expect(table(rows, 40)).toEqual(['✓ one     two', '✗ eleven']);
    expect(table(rows, 12)).toEqual(['✓ one  two', '✗ eleven']);
  });
});

test.each([
  { why: 'a terminal', isTerminal: true, options: { env: {} }, wants: true },
  { why: 'no terminal', isTerminal: false, options: { env: {} }, wants: false },
  { why: '--no-color', isTerminal: true, options: { flag: false, env: {} }, wants: false },
  { why: 'NO_COLOR', isTerminal: true, options: { env: { NO_COLOR: '1' } }, wants: false },
  { why: 'NO_COLOR that is empty says nothing', isTerminal: true, options: { env: { NO_COLOR: '' } }, wants: true },
  { why: 'a terminal that knows nothing', isTerminal: true, options: { env: { TERM: 'dumb' } }, wants: false },
])('colours: $why', ({ isTerminal, options, wants }) => expect(wantsColor(isTerminal, options)).toBe(wants));
