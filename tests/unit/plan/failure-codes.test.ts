// Two files of the registry with one code would silently make one message of two.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

test('each code is in one file of the registry', async () => {
  const folder = path.join(import.meta.dirname, '../../../src/model/failures');
  const codes: string[] = [];
  for (const file of readdirSync(folder)) {
    const module: Readonly<Record<string, object>> = await import(path.join(folder, file));
    codes.push(...Object.values(module).flatMap((registry) => Object.keys(registry)));
  }
  expect(codes.length).toBeGreaterThan(50);
  expect(codes.filter((code, at) => codes.indexOf(code) !== at)).toEqual([]);
});
