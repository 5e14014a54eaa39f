// Takes secrets out of text by their value, in every form in which they get into logs.
import type { Scrub } from './reporter.ts';

const mask = '***';
/** Shorter ones are left: taking "1" or "on" out of every text would leave nothing that can be read, and hides nothing that cannot be guessed. */
const shortest = 3;
/** Of a secret of several lines, lines of this length count by themselves, since output is read line by line. */
const shortestLine = 8;
/** Base64 of less than this would be found by chance. */
const shortestBase64 = 6;

/** The values as they are, and URL-encoded, JSON-escaped and in base64; of a URL also its password; of several lines also each of them. */
export function createScrubber(secrets: readonly string[]): Scrub {
  const forms = new Set(
    secrets
      .flatMap(partsOf)
      .filter((part) => part.length >= shortest)
      .flatMap(formsOf),
  );
  if (forms.size === 0) return (text) => text;
  // Longest first: a secret that begins with another one must not leave its end behind.
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|'), 'g');
  return (text) => text.replace(pattern, mask);
}

/** The same shape with every text in it scrubbed, keys too. What has nothing to scrub is given back as it is: that is nearly all, thousands of times. */
export function scrubValue<T>(value: T, scrub: Scrub): T;
export function scrubValue(value: unknown, scrub: Scrub): unknown {
  if (typeof value === 'string') return scrub(value);
  if (Array.isArray(value)) return isClean(value, scrub) ? value : value.map((item) => scrubValue<unknown>(item, scrub));
  if (typeof value !== 'object' || value === null || isClean(value, scrub)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [scrub(key), scrubValue<unknown>(item, scrub)]));
}

function isClean(value: object, scrub: Scrub): boolean {
  for (const [key, item] of Object.entries(value)) {
    if (typeof item === 'string' ? scrub(item) !== item : typeof item === 'object' && item !== null && !isClean(item, scrub)) return false;
    if (scrub(key) !== key) return false;
  }
  return true;
}

function partsOf(secret: string): readonly string[] {
  const trimmed = secret.trim();
  const lines = trimmed.includes('\n') ? trimmed.split(/\r?\n/).filter((line) => line.length >= shortestLine) : [];
  return [secret, trimmed, ...lines, ...passwordOf(trimmed)];
}

function passwordOf(text: string): readonly string[] {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/]*@/i.test(text) || !URL.canParse(text)) return [];
  const { password } = new URL(text);
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}

function formsOf(secret: string): readonly string[] {
  const encoded = encodeURIComponent(secret);
  const lowerCase = encoded.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
  const json = JSON.stringify(secret).slice(1, -1);
  return [secret, encoded, lowerCase, encoded.replaceAll('%20', '+'), json, ...base64Of(secret)];
}

/** Inside a longer text, `user:secret` say, base64 looks different for each of three offsets; only the characters that depend on the secret alone are taken. */
function base64Of(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const whole = bytes.toString('base64').replace(/=+$/, '');
  const inside = [0, 1, 2].map((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const isCutAtEnd = (offset + bytes.length) % 3 !== 0;
    return text.slice(offset === 0 ? 0 : offset + 1, isCutAtEnd ? -1 : undefined);
  });
  const texts = [whole, ...inside].filter((text) => text.length >= shortestBase64);
  return texts.flatMap((text) => [text, text.replaceAll('+', '-').replaceAll('/', '_')]);
}
