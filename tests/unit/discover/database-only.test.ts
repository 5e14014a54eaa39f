import { describe, expect, test } from 'vitest';
import { isDatabaseOnly } from '../../../src/discover/database-only.ts';

const step = (body: string, before = "import { defineStep } from 'rungs';") =>
  `${before}\nexport default defineStep({ forward: async (ctx) => { ${body} } });\n`;

describe('a module that does nothing but through one database handle', () => {
  test.each([
    { why: 'called in place', text: step("await ctx.sqlite('app').exec('DELETE FROM a');") },
    {
      why: 'taken out of the context',
      text: `import { defineStep } from 'rungs';\nexport default defineStep({ forward: async ({ sqlite }) => { await sqlite('app').run('X'); }, backward: async ({ sqlite, from }) => { await sqlite("app").exec('Y'); } });`,
    },
    {
      why: 'kept in a variable',
      text: step("const db = ctx.sqlite('app'); await db.exec('X'); for await (const row of db.iterate('Y')) await db.run('Z', row.id);"),
    },
    { why: 'without any import', text: step("await ctx.sqlite('app').exec('X');", '') },
  ])('$why', ({ text }) => {
    expect(isDatabaseOnly(text)).toBe(true);
  });
});

describe('a module that may do more', () => {
  const harmless = "await ctx.sqlite('app').exec('X');";
  test.each([
    { why: 'no database', text: step('') },
    { why: 'two databases', text: step(`${harmless} await ctx.sqlite('other').exec('Y');`) },
    { why: 'a database whose name is not written out', text: step('const name = "app"; await ctx.sqlite(name).exec("X");') },
    { why: 'another name for the handles', text: step(`const open = ctx.sqlite; ${harmless} await open('other').exec('X');`) },
    { why: 'a command', text: step(`${harmless} await ctx.exec('rm', ['x']);`) },
    {
      why: 'a command that was taken out of the context',
      text: `import { defineStep } from 'rungs';\nexport default defineStep({ forward: async ({ sqlite, exec }) => { await sqlite('app').run('X'); await exec('rm'); } });`,
    },
    { why: 'a command by way of a helper', text: step(`${harmless} await (() => ctx)().exec('rm');`) },
    { why: 'files', text: step(`${harmless} await ctx.files.remove('x');`) },
    { why: 'files by a computed name', text: step(`${harmless} await ctx['files'].remove('x');`) },
    { why: 'output', text: step(`${harmless} console.log('done');`) },
    { why: 'its log', text: step(`${harmless} ctx.log('done');`) },
    { why: 'a checkpoint, which commits', text: step(`${harmless} await ctx.checkpoint.save(1);`) },
    { why: 'another module', text: step(harmless, "import { defineStep } from 'rungs';\nimport { rm } from 'node:fs/promises';") },
    { why: 'another module for its effect', text: step(harmless, "import './_setup.ts';") },
    { why: 'what another module exports', text: step(harmless, "export { x } from './_x.ts';") },
    { why: 'a module that is loaded later', text: step(`${harmless} await import('node:fs');`) },
    { why: 'require', text: step(`${harmless} require('node:fs');`) },
    { why: 'the process', text: step(`${harmless} process.exit(0);`) },
    { why: 'the network', text: step(`${harmless} await fetch('http://localhost');`) },
    { why: 'code out of text', text: step(`${harmless} (() => {}).constructor('return 1')();`) },
  ])('$why', ({ text }) => {
    expect(isDatabaseOnly(text)).toBe(false);
  });
});
