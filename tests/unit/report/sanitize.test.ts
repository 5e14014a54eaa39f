import { describe, expect, test } from 'vitest';
import { escapeControls, sanitize } from '../../../src/report/sanitize.ts';

const esc = '\u001b';

describe('sanitize', () => {
  test.each([
    { why: 'colours', text: `${esc}[1;31mred${esc}[0m`, clean: 'red' },
    { why: 'moving the cursor and clearing', text: `a${esc}[2J${esc}[H${esc}[?25lb`, clean: 'ab' },
    { why: 'the window title, ended by BEL', text: `a${esc}]0;owned\u0007b`, clean: 'ab' },
    { why: 'a link, ended by ST', text: `${esc}]8;;http://evil${esc}\\text${esc}]8;;${esc}\\`, clean: 'text' },
    { why: 'a device control string', text: `a${esc}Pq#0;2${esc}\\b`, clean: 'ab' },
    { why: 'a sequence that is cut off', text: `a${esc}[12`, clean: 'a' },
    { why: 'a title that never ends', text: `a${esc}]0;owned`, clean: 'a' },
    { why: 'the 8-bit introducers', text: 'a\u009b31mb\u009d0;x\u009cc', clean: 'abc' },
    { why: 'short sequences', text: `a${esc}cb${esc}(0c`, clean: 'abc' },
    { why: 'bell, backspace, DEL, NUL', text: 'a\u0007\b\u007f\u0000b', clean: 'ab' },
    { why: 'text that is turned round', text: 'user\u202Etxt.exe', clean: 'usertxt.exe' },
    { why: 'a progress bar keeps its last state', text: '10 %\r20 %\r30 %', clean: '30 %' },
    { why: 'line ends of Windows', text: 'a\r\nb\r', clean: 'a\nb' },
    { why: 'what is harmless stays', text: 'tab\there, naïve ✓ 日本 😀\nnext', clean: 'tab\there, naïve ✓ 日本 😀\nnext' },
  ])('strips $why', ({ text, clean }) => {
    expect(sanitize(text)).toBe(clean);
  });
});

test('escapeControls shows what was there', () => {
  expect(escapeControls(`a${esc}[31m\u009b\u202e\tb\n`)).toBe('a\\x1b[31m\\x9b\\u202e\tb\n');
});
