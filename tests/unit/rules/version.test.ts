import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { rungsVersion } from '../../../src/rungs-version.ts';

test('the version that the executable tells is the package’s', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string };
  expect(rungsVersion).toBe(version);
});
