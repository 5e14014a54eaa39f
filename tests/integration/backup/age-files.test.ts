// Encrypted files against the real `age`, both ways: what it encrypts we read anywhere, what we encrypt it decrypts, to keys of its own and of SSH.
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect } from 'vitest';
import { createEncrypted, openEncrypted } from '../../../src/backup/age/encrypted-file.ts';
import { NoKeyFits } from '../../../src/backup/age/header.ts';
import { readIdentities } from '../../../src/backup/age/identity-files.ts';
import { UpgradeError } from '../../../src/model/failure.ts';
import { testNeeding } from '../../support/needs.ts';

const test = testNeeding('age', 'ssh-keygen');

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'rungs-age-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const at = (name: string): string => path.join(dir, name);

function run(command: string, args: readonly string[], input?: Buffer): Buffer {
  const { status, stdout, stderr } = spawnSync(command, args, { input, maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${String(stderr)}`);
  return stdout;
}

interface Keys {
  readonly recipient: string;
  readonly identity: string;
}

function ageKeys(name: string): Keys {
  run('age-keygen', ['-o', at(name)]);
  return {
    recipient: run('age-keygen', ['-y', at(name)])
      .toString()
      .trim(),
    identity: at(name),
  };
}

function sshKeys(name: string): Keys {
  run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'ops@example.org', '-f', at(name)]);
  return { recipient: readFileSync(at(`${name}.pub`), 'utf8').trim(), identity: at(name) };
}

async function write(file: string, recipients: readonly string[], parts: readonly Buffer[]): Promise<void> {
  const handle = await open(file, 'w+');
  const target = await createEncrypted(handle, recipients);
  let position = 0;
  for (const part of parts) position += (await target.write(part, 0, part.length, position)).bytesWritten;
  await target.end();
  await handle.close();
}

async function read(file: string, identities: readonly string[], position = 0, length = Infinity): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const source = await openEncrypted(
      handle,
      (await readIdentities(identities)).map(({ key }) => key),
    );
    const buffer = Buffer.alloc(Math.min(length, source.size - position));
    const { bytesRead } = await source.read(buffer, 0, buffer.length, position);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

const kinds = { age: ageKeys, 'ssh-ed25519': sshKeys };
const chunk = 64 << 10;
const sizes = [0, 1, chunk - 1, chunk, chunk + 1, 16 * chunk, 16 * chunk + 1, 3_000_017];

describe.each(['age', 'ssh-ed25519'] as const)('to a key of the kind %s', (kind) => {
  test.each(sizes)('%i bytes that we encrypt are decrypted by age', async (size) => {
    const [keys, other] = [kinds[kind]('one'), ageKeys('other')];
    const content = randomBytes(size);
    await write(at('file.age'), [other.recipient, keys.recipient], [content]);
    expect(run('age', ['-d', '-i', keys.identity, at('file.age')]).equals(content)).toBe(true);
    expect((await read(at('file.age'), [keys.identity])).equals(content)).toBe(true);
  });

  test.each(sizes)('%i bytes that age encrypts we read', async (size) => {
    const keys = kinds[kind]('one');
    const content = randomBytes(size);
    run('age', ['-r', keys.recipient, '-o', at('file.age')], content);
    expect((await read(at('file.age'), [keys.identity])).equals(content)).toBe(true);
  });

  test('another key opens nothing', async () => {
    await write(at('file.age'), [kinds[kind]('one').recipient], [Buffer.from('secret')]);
    await expect(read(at('file.age'), [ageKeys('other').identity, sshKeys('another').identity])).rejects.toThrow(NoKeyFits);
  });
});

test('any part is read without those before it, also by many readers at once', async () => {
  const { recipient, identity } = ageKeys('one');
  const content = randomBytes(40 * chunk + 77);
  await write(at('file.age'), [recipient], [content]);
  const handle = await open(at('file.age'), 'r');
  const source = await openEncrypted(
    handle,
    (await readIdentities([identity])).map(({ key }) => key),
  );
  const places = Array.from({ length: 60 }, (_, index) => {
    const position = (index * 7_919_993) % content.length;
    return { position, length: Math.min(content.length - position, (index * 104_729) % (20 * chunk)) };
  });
  await Promise.all(
    places.map(async ({ position, length }) => {
      const buffer = Buffer.alloc(length);
      expect((await source.read(buffer, 0, length, position)).bytesRead).toBe(length);
      expect(buffer.equals(content.subarray(position, position + length))).toBe(true);
    }),
  );
  await handle.close();
});

test('what is taken back and written again never shares a key with what lay there', async () => {
  const { recipient, identity } = ageKeys('one');
  const kept = randomBytes(5 * chunk + 100);
  for (const back of [0, 50, chunk, 3 * chunk + 9, 5 * chunk, kept.length]) {
    const handle = await open(at('file.age'), 'w+');
    const target = await createEncrypted(handle, [recipient]);
    const [taken, next] = [Buffer.alloc(4 * chunk, 1), Buffer.alloc(4 * chunk, 2)];
    await target.write(kept, 0, kept.length, 0);
    await target.write(taken, 0, taken.length, kept.length);
    const before = readFileSync(at('file.age'));
    await target.truncate(back);
    await target.write(next, 0, next.length, back);
    await target.end();
    await handle.close();
    const after = readFileSync(at('file.age'));
    expect(run('age', ['-d', '-i', identity, at('file.age')]).equals(Buffer.concat([kept.subarray(0, back), next]))).toBe(true);
    // One keystream for both would show as the difference of the two plain texts.
    const header = after.indexOf('\n', after.indexOf('\n--- ') + 1) + 17;
    const place = header + 6 * (chunk + 16) + 1000;
    const difference = Array.from({ length: 64 }, (_, index) => (before[place + index] ?? 0) ^ (after[place + index] ?? 0));
    if (back < kept.length) expect(new Set(difference).size).toBeGreaterThan(8);
  }
});

describe('a file that somebody has changed', () => {
  const cases: Readonly<Record<string, (file: Buffer) => Buffer>> = {
    'a byte': (file) => Buffer.concat([file.subarray(0, -5000), Buffer.from([(file.at(-5000) ?? 0) ^ 1]), file.subarray(-4999)]),
    'its end, within a chunk': (file) => file.subarray(0, -20),
    'its end, at a chunk': (file) => file.subarray(0, file.length - 1000 - 16),
    'all but its header': (file) => file.subarray(0, file.indexOf('\n', file.indexOf('\n--- ') + 1) + 1),
    'two chunks, one for the other': (file) => {
      const start = file.indexOf('\n', file.indexOf('\n--- ') + 1) + 17;
      const [one, other] = [0, 1].map((index) => file.subarray(start + index * (chunk + 16), start + (index + 1) * (chunk + 16)));
      return Buffer.concat([
        file.subarray(0, start),
        other ?? Buffer.alloc(0),
        one ?? Buffer.alloc(0),
        file.subarray(start + 2 * (chunk + 16)),
      ]);
    },
    'its header': (file) => Buffer.concat([file.subarray(0, 60), Buffer.from('AAAA'), file.subarray(64)]),
    everything: (file) => randomBytes(file.length),
  };
  test.each(Object.keys(cases))('%s, is not read', async (name) => {
    const { recipient, identity } = ageKeys('one');
    await write(at('file.age'), [recipient], [randomBytes(3 * chunk + 1000)]);
    writeFileSync(at('file.age'), cases[name]?.(readFileSync(at('file.age'))) ?? Buffer.alloc(0));
    await expect(read(at('file.age'), [identity])).rejects.toThrow(
      /truncated|changed or cut off|damaged|no file that age made|no identity/,
    );
  });
});

describe('a key file', () => {
  const problems: readonly { readonly what: string; readonly make: () => string; readonly says: RegExp }[] = [
    { what: 'that is not there', make: () => at('none'), says: /ENOENT/ },
    { what: 'that is empty', make: () => text('# nothing\n'), says: /holds no key/ },
    { what: 'with a slip', make: () => text('AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQ\n'), says: /damaged/ },
    { what: 'with a public key', make: () => text(`${ageKeys('k').recipient}\n`), says: /neither an age identity/ },
    { what: 'behind a passphrase (SSH)', make: () => protectedKey(), says: /protected by a passphrase/ },
    { what: 'of another kind (SSH)', make: () => rsaKey(), says: /only Ed25519/ },
    { what: 'that was cut off (SSH)', make: () => cutKey(), says: /no whole SSH key/ },
    { what: 'that is encrypted by age', make: () => encryptedKey(), says: /itself encrypted/ },
  ];
  test.each(problems)('$what is told of', async ({ make, says }) => {
    const file = make();
    const error = await readIdentities([file]).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(UpgradeError);
    expect(String(error)).toMatch(says);
    expect(String(error)).toContain(file);
    expect(String(error)).not.toContain('AGE-SECRET-KEY-1Q');
  });
  const text = (content: string): string => {
    writeFileSync(at('text'), content);
    return at('text');
  };
  const protectedKey = (): string => {
    run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'passphrase', '-f', at('p')]);
    return at('p');
  };
  const rsaKey = (): string => {
    run('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', at('r')]);
    return at('r');
  };
  const cutKey = (): string => {
    const { identity } = sshKeys('c');
    const lines = readFileSync(identity, 'utf8').split('\n');
    writeFileSync(identity, [...lines.slice(0, 3), ...lines.slice(-2)].join('\n'));
    return identity;
  };
  const encryptedKey = (): string => {
    const { recipient, identity } = ageKeys('e');
    run('age', ['-r', recipient, '-o', at('e.age'), identity]);
    return at('e.age');
  };
});

test('an identity file may hold several keys', async () => {
  const [one, two] = [ageKeys('one'), ageKeys('two')];
  writeFileSync(at('both'), `${readFileSync(one.identity, 'utf8')}\n${readFileSync(two.identity, 'utf8')}`);
  await write(at('file.age'), [two.recipient], [Buffer.from('x')]);
  expect((await read(at('file.age'), [at('both')])).toString()).toBe('x');
});

test('memory stays flat', async () => {
  const { recipient, identity } = ageKeys('one');
  const part = randomBytes(2 << 20);
  const before = process.memoryUsage().rss;
  await write(
    at('file.age'),
    [recipient],
    Array.from({ length: 128 }, () => part),
  );
  const handle = await open(at('file.age'), 'r');
  const source = await openEncrypted(
    handle,
    (await readIdentities([identity])).map(({ key }) => key),
  );
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(part.length);
  for (let position = 0; position < source.size; position += part.length) {
    await source.read(buffer, 0, part.length, position);
    hash.update(buffer);
  }
  await handle.close();
  expect(process.memoryUsage().rss - before).toBeLessThan(150 << 20);
});
