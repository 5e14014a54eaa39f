// Text of others (steps, services, databases) made harmless for a terminal: it may not move the cursor, recolour, retitle or pretend.
const escape = String.fromCharCode(0x1b);

/** Whole escape sequences: CSI, OSC and its like up to their end, and the short ones. */
const sequences = new RegExp(
  [
    `(?:${escape}\\[|\\u009b)[0-?]*[ -/]*[@-~]?`,
    `(?:${escape}[\\]PX^_]|[\\u0090\\u0098\\u009d\\u009e\\u009f])[^\\u0007\\u009c${escape}]*(?:\\u0007|\\u009c|${escape}\\\\|$)?`,
    `${escape}[ -/]*[0-~]?`,
  ].join('|'),
  'g',
);
/** What is left of control characters, but tab and line feed; and what turns the direction of writing round, so that a name looks like another one. */
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** The same for a look beforehand: nearly every text is harmless. */
const suspicious = new RegExp(controls.source);

/** Strips escape sequences and control characters. Of a line that was written over (`10 %\r20 %`) only the last text stays. */
export function sanitize(text: string): string {
  if (!suspicious.test(text)) return text;
  return text
    .replace(sequences, '')
    .replace(/\r+(?=\n|$)/g, '')
    .replace(/^.*\r/gm, '')
    .replace(controls, '');
}

/** A line that a step printed, as it got into its log: sequences that were made visible there (`\x1b[31m`) say nothing to people, and are left out. */
export function readable(line: string): string {
  return sanitize(line.includes('\\x') ? line.replace(madeVisible, '') : line);
}

const madeVisible = /\\x(?:1b\[|9b)[0-?]*[ -/]*[@-~]|\\x(?:1b\]|9d).*?(?:\\x07|\\x1b\\|\\x9c|$)|\\x1b[ -/]*[0-Z\\^-~]/g;

/** Shows them instead, as `\x1b`: for files and pages, where it matters what was there. */
export function escapeControls(text: string): string {
  if (!suspicious.test(text)) return text;
  return text.replace(controls, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
