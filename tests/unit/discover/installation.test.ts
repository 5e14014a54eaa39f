// The version is read, and written so that all else stays: bytes, mode, links.
import { chmodSync, lstatSync, readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createInstallation } from '../../../src/discover/installation.ts';
import { outputOf } from '../../../src/discover/version-command.ts';
import { parseVersion } from '../../../src/model/version.ts';
import { makeTree } from './tree.ts';

const next = parseVersion('0.3.1');

describe('a file', () => {
  test.each([
    { before: '0.1.0\n', after: '0.3.1\n' },
    { before: '0.1.0', after: '0.3.1' },
    { before: 'v0.1.0\r\n', after: 'v0.3.1\r\n' },
    { before: '\uFEFF 0.1.0 \n\n', after: '\uFEFF 0.3.1 \n\n' },
  ])('$before becomes $after', async ({ before, after }) => {
    const root = makeTree({ VERSION: before });
    const file = path.join(root, 'VERSION');
    chmodSync(file, 0o640);
    const installation = createInstallation({ root, version: { kind: 'file', file } }, async () => null);
    expect(await installation.readVersion()).toBe('0.1.0');
    await installation.writeVersion(next);
    expect(readFileSync(file, 'utf8')).toBe(after);
    expect(await installation.readVersion()).toBe('0.3.1');
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(readdirSync(root)).toEqual(['VERSION']);
  });

  test('that is a link stays one; what a killed writer left behind is taken over', async () => {
    const root = makeTree({ VERSION: { link: 'shared/VERSION' }, 'shared/VERSION': '0.1.0\n', 'shared/.VERSION.rungs-new': 'half' });
    await createInstallation({ root, version: { kind: 'file', file: path.join(root, 'VERSION') } }, async () => null).writeVersion(next);
    expect(lstatSync(path.join(root, 'VERSION')).isSymbolicLink()).toBe(true);
    expect(readFileSync(path.join(root, 'shared/VERSION'), 'utf8')).toBe('0.3.1\n');
    expect(readdirSync(path.join(root, 'shared'))).toEqual(['VERSION']);
  });
});

describe('JSON', () => {
  test.each([
    {
      pointer: '/version',
      before: '{\n\t"name": "version",\n\t"a": [ {"version": "1.0.0"} ],\n\t"version" : "0.1.0" }\n',
      after: '{\n\t"name": "version",\n\t"a": [ {"version": "1.0.0"} ],\n\t"version" : "0.3.1" }\n',
    },
    {
      pointer: '/apps/1/a~1b',
      before: '{"apps":[{"a/b":"0.0.1"},{"x":["9",{}],"a/b":"v0.1.0"}]}',
      after: '{"apps":[{"a/b":"0.0.1"},{"x":["9",{}],"a/b":"v0.3.1"}]}',
    },
    { pointer: '/v', before: '{"k\\"{": "a,]", "v": "0.1.0"}', after: '{"k\\"{": "a,]", "v": "0.3.1"}' },
  ])('only what stands at $pointer changes', async ({ pointer, before, after }) => {
    const root = makeTree({ 'p.json': before });
    const file = path.join(root, 'p.json');
    const installation = createInstallation({ root, version: { kind: 'json', file, pointer } }, async () => null);
    expect(await installation.readVersion()).toBe('0.1.0');
    await installation.writeVersion(next);
    expect(readFileSync(file, 'utf8')).toBe(after);
  });
});

describe('a command', () => {
  test('prints the version, run in the root; afterwards it has to print the new one', async () => {
    const root = makeTree({ 'bin/version': { text: '#!/bin/sh\ncat VERSION\n', mode: 0o755 }, VERSION: '0.1.0\n' });
    const installation = createInstallation({ root, version: { kind: 'command', command: ['bin/version'] } }, async () => null);
    expect(await installation.readVersion()).toBe('0.1.0');
    await installation.writeVersion(parseVersion('0.1.0'));
    await expect(installation.writeVersion(next)).rejects.toThrow(/VERSION_UNWRITABLE.*still prints 0\.1\.0/);
  });

  test.each([
    { why: 'that hangs is ended', script: 'sleep 60', says: /did not end within 0\.3 s/ },
    { why: 'that never stops printing is ended', script: 'yes', says: /prints more than a version/ },
  ])('$why', async ({ script, says }) => {
    expect(await outputOf(['sh', '-c', script], '/', 300)).toEqual({ ok: false, why: expect.stringMatching(says) });
  });

  test('that leaves a child behind is not waited for', async () => {
    expect(await outputOf(['sh', '-c', 'sleep 3 & echo 1.2.3'], '/', 2500)).toEqual({ ok: true, text: '1.2.3\n' });
  });
});

test('the journal is asked where it is the source, and the run writes it there', async () => {
  const installation = createInstallation({ root: '/', version: { kind: 'journal' } }, async () => next);
  expect(await installation.readVersion()).toBe('0.3.1');
  await installation.writeVersion(next);
});
