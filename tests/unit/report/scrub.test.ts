import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createScrubber, scrubValue } from '../../../src/report/scrub.ts';

const password = 'p@ss/w"ört 1';

describe('createScrubber', () => {
  test.each([
    { form: 'as it is', text: `login with ${password} failed` },
    { form: 'URL-encoded', text: `postgres://app:${encodeURIComponent(password)}@db/app` },
    { form: 'URL-encoded in lower case', text: encodeURIComponent(password).replace(/%../g, (code) => code.toLowerCase()) },
    { form: 'form-encoded', text: `password=${encodeURIComponent(password).replaceAll('%20', '+')}` },
    { form: 'JSON-escaped', text: JSON.stringify({ password }) },
    { form: 'base64', text: `Authorization: ${Buffer.from(password).toString('base64')}` },
    { form: 'base64 of user and password', text: `Basic ${Buffer.from(`app:${password}`).toString('base64')}` },
    { form: 'base64 of user and password and more', text: `Basic ${Buffer.from(`apps:${password}:more`).toString('base64')}` },
    { form: 'base64url', text: Buffer.from(`x${password}`).toString('base64url') },
  ])('takes a secret out $form', ({ text }) => {
    const scrubbed = createScrubber([password])(text);
    expect(scrubbed).toContain('***');
    for (const form of [password, encodeURIComponent(password), Buffer.from(password).toString('base64').slice(4, 12)])
      expect(scrubbed).not.toContain(form);
  });

  test.each([
    {
      why: 'the longer of two that begin alike leaves no end behind',
      secrets: ['hunter', 'hunter2-and-more'],
      text: 'it is hunter2-and-more.',
      scrubbed: 'it is ***.',
    },
    {
      why: 'the password inside a secret URL is a secret too',
      secrets: ['postgres://app:hunter2@db/app'],
      text: 'password authentication failed: hunter2',
      scrubbed: 'password authentication failed: ***',
    },
    {
      why: 'the lines of a key are secrets each',
      secrets: ['-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n'],
      text: 'read MIIEvQIBADANBg',
      scrubbed: 'read ***',
    },
    { why: 'what is shorter than three characters is left', secrets: ['1', 'on', ''], text: '1 on', scrubbed: '1 on' },
    { why: 'characters of regular expressions are only characters', secrets: ['a.*(b'], text: 'a.*(b axx(b', scrubbed: '*** axx(b' },
    { why: 'every place counts', secrets: ['hunter2'], text: 'hunter2 hunter2\nhunter2', scrubbed: '*** ***\n***' },
  ])('$why', ({ secrets, text, scrubbed }) => {
    expect(createScrubber(secrets)(text)).toBe(scrubbed);
  });

  test('no secret of three characters and more survives anywhere in any text', () => {
    // A secret of asterisks is what takes its place.
    const secret = fc.string({ minLength: 3 }).filter((text) => !/^\*+$/.test(text) && !'***'.includes(text));
    fc.assert(
      fc.property(fc.array(secret, { minLength: 1, maxLength: 4 }), fc.string(), fc.string(), (secrets, before, after) => {
        const scrubbed = createScrubber(secrets)(`${before}${secrets.join('|')}${after}`);
        // What is left of the texts around may only by chance, with the mask between, read like one.
        for (const one of secrets) if (!one.includes('*')) expect(scrubbed.split('***').some((part) => part.includes(one))).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});

test('scrubValue keeps the shape and reaches nested values and keys', () => {
  const scrub = createScrubber(['hunter2']);
  const value = { message: 'hunter2', nested: [{ log: ['a hunter2 b'] }, 3, null, true], 'key hunter2': undefined };
  expect(scrubValue(value, scrub)).toEqual({ message: '***', nested: [{ log: ['a *** b'] }, 3, null, true], 'key ***': undefined });
});
