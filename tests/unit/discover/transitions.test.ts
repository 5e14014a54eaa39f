// Reading good trees: what each kind of step says of itself, and what it is hashed to.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { readTransitionGraph, readTransitions } from '../../../src/discover/transitions.ts';
import type { Step } from '../../../src/model/plan.ts';
import type { ModuleDescription } from '../../../src/model/ports.ts';
import { makeTree, snapshot, type Entry } from './tree.ts';

const plain: ModuleDescription = { metadata: {}, hasForward: true, hasBackward: false, hasCheck: false };

async function read(files: Readonly<Record<string, Entry>>, describe: (file: string) => ModuleDescription = () => plain) {
  const root = makeTree({
    'upgrade.yaml': '',
    ...Object.fromEntries(Object.entries(files).map(([name, entry]) => [`migrations/${name}`, entry])),
  });
  const config = {
    file: `${root}/upgrade.yaml`,
    migrations: `${root}/migrations`,
    databases: { app: { kind: 'sqlite' as const, file: 'x' } },
    ladders: {
      main: { kind: 'folder' as const, dir: 'x', database: null, onFailure: 'keep' as const, group: false, fresh: null, writeBack: false },
    },
    services: {
      api: { kind: 'docker' as const, container: 'x', name: 'api', after: [], stopDuringUpgrade: false, timeoutMs: 1, stableForMs: 1 },
    },
  };
  const before = snapshot(root);
  const calls: string[][] = [];
  const result = await readTransitions(config, 'all', {
    describeModules: async (asked) => {
      calls.push([...asked]);
      return asked.map(describe);
    },
  });
  expect(snapshot(root)).toEqual(before);
  return { ...result, config, calls, steps: result.transitions.flatMap(({ steps }) => steps) };
}

const t = 'v0.1.0_to_v0.2.0';

test('transitions are ordered by version, steps by number; what is left alone is left alone', async () => {
  const { transitions, problems } = await read({
    'v0.10.0_to_v0.11.0/001_x.sql': 'X',
    'v0.9.0_to_v0.10.0/010_a.sql': 'X',
    'v0.9.0_to_v0.10.0/009_b.sql': 'X',
    'v0.9.0_to_v0.10.0/1000_c.sql': 'X',
    'v0.9.0_to_v0.10.0/_lib/shared.sql': 'X',
    'v0.9.0_to_v0.10.0/_lib/__pycache__/x.pyc': 'X',
    'v0.9.0_to_v0.10.0/.DS_Store': 'X',
    'v0.9.0_to_v0.10.0/README.md': 'X',
    'v1.0.0-rc.1_to_v1.0.0/001_x.sql': 'X',
    '_draft/x': 'X',
    '.git/x': 'X',
    'README.md': 'X',
  });
  expect(problems).toEqual([]);
  expect(transitions.map(({ id, steps }) => [id, ...steps.map(({ name }) => name)])).toEqual([
    ['v0.9.0_to_v0.10.0', 'b', 'a', 'c'],
    ['v0.10.0_to_v0.11.0', 'x'],
    ['v1.0.0-rc.1_to_v1.0.0', 'x'],
  ]);
  expect(transitions[0]?.files.map(({ path }) => path)).toEqual(['009_b.sql', '010_a.sql', '1000_c.sql', '_lib/shared.sql']);
});

describe('what a step says of itself', () => {
  const defaults = {
    requiresRestart: [],
    breaking: false,
    estimatedDurationMs: null,
    timeoutMs: null,
    idempotent: false,
    transaction: true,
    hasCheck: false,
    backup: [],
    memoryBytes: null,
  };
  const cases: readonly {
    readonly why: string;
    readonly name: string;
    readonly text: string;
    readonly is: Partial<Step>;
    readonly described?: ModuleDescription;
  }[] = [
    {
      why: 'nothing at all',
      name: '001_add_email.sql',
      text: 'X;',
      is: { ...defaults, kind: 'sql', description: 'add email', database: 'app', hasBackward: false, isReversible: false },
    },
    {
      why: 'SQL in one comment',
      name: '001_x.sql',
      text: '-- rungs: { database: app, requires_restart: [api], transaction: false, breaking_changes: true, estimated_duration_seconds: 90 }\nX;\n-- backward\nY;',
      is: {
        requiresRestart: ['api'],
        transaction: false,
        breaking: true,
        estimatedDurationMs: 90_000,
        hasBackward: true,
        isReversible: true,
      },
    },
    {
      why: 'SQL over several comments, with a mark and CRLF',
      name: '001_x.sql',
      text: '\uFEFF-- About this\r\n-- rungs:\r\n--   timeout: 30m\r\n--   memory: 512MB\r\n--   backup: [config]\r\n-- forward\r\nX;\r\n',
      is: { timeoutMs: 1_800_000, memoryBytes: 512 * 1024 ** 2, backup: ['config'] },
    },
    {
      why: 'SQL in braces over several comments',
      name: '001_x.sql',
      text: '-- rungs: { idempotent: true,\n-- timeout: 3s }\nX;',
      is: { idempotent: true, timeoutMs: 3000 },
    },
    {
      why: 'shell, with a backward by its argument',
      name: '001_x.sh',
      text: '#!/bin/sh\n# rungs: { requires_restart: ["*"], description: Moves things }\ncase "$1" in backward) ;; esac',
      is: { kind: 'sh', description: 'Moves things', requiresRestart: ['*'], hasBackward: true, database: null },
    },
    { why: 'shell, with a backward by the variable', name: '001_x.sh', text: 'echo $UPGRADE_DIRECTION', is: { hasBackward: true } },
    { why: 'shell without a backward', name: '001_x.sh', text: 'true', is: { hasBackward: false, isReversible: false } },
    {
      why: 'Python',
      name: '001_x.py',
      text: 'MIGRATION_INFO = {"version_from": "0.1.0", "version_to": "v0.2.0", "description": "d", "breaking_changes": ["a"], "estimated_duration_seconds": 30, "requires_restart": ["api"], "backup_required": True}\ndef migrate_forward(project_root): return True\ndef migrate_backward(project_root): return True\n',
      is: { kind: 'py', description: 'd', breaking: true, estimatedDurationMs: 30_000, requiresRestart: ['api'], hasBackward: true },
    },
    {
      why: 'Python without MIGRATION_INFO and backward',
      name: '001_x.py',
      text: 'def migrate_forward(r): return True',
      is: { description: 'x', hasBackward: false, isReversible: false },
    },
    {
      why: 'a module',
      name: '001_x.ts',
      text: 'x',
      described: {
        metadata: { description: 'd', requiresRestart: ['api'], estimatedDuration: '30s', timeout: 90 },
        hasForward: true,
        hasBackward: true,
        hasCheck: true,
      },
      is: { kind: 'ts', description: 'd', estimatedDurationMs: 30_000, timeoutMs: 90_000, hasCheck: true, hasBackward: true },
    },
    { why: 'a module without a backward', name: '001_x.mjs', text: 'x', is: { kind: 'js', hasBackward: false, isReversible: true } },
  ];
  test.each(cases)('$why', async ({ name, text, is, described = plain }) => {
    const { steps, problems } = await read({ [`${t}/${name}`]: text }, () => described);
    expect(problems).toEqual([]);
    expect(steps).toMatchObject([{ ...is, sha256: createHash('sha256').update(text).digest('hex') }]);
  });

  test('an up and a down file are one step, hashed together', async () => {
    const { steps } = await read({ [`${t}/001_x.up.sql`]: 'A;', [`${t}/001_x.down.sql`]: 'B;' });
    expect(steps).toMatchObject([
      {
        id: `${t}/001_x`,
        forwardFile: '001_x.up.sql',
        backwardFile: '001_x.down.sql',
        hasBackward: true,
        sha256: createHash('sha256').update('A;B;').digest('hex'),
      },
    ]);
  });

  test('modules are described in one call', async () => {
    const { calls } = await read({ [`${t}/001_x.ts`]: 'x', [`${t}/002_x.js`]: 'x', 'v0.2.0_to_v0.3.0/001_x.ts': 'x' });
    expect(calls.map(({ length }) => length)).toEqual([3]);
  });

  test.each([
    { why: 'a backward that does nothing', files: { [`${t}/001_x.sql`]: 'X;\n-- backward\n-- nothing to undo\n' }, code: 'BACKWARD_EMPTY' },
    { why: 'a step that does nothing', files: { [`${t}/001_x.sql`]: '-- later\n' }, code: 'STEP_EMPTY' },
    { why: 'a transition without steps', files: { [`${t}/transition.yaml`]: 'stop: true' }, code: 'TRANSITION_EMPTY' },
    {
      why: 'MIGRATION_INFO of another transition',
      files: { [`${t}/001_x.py`]: 'MIGRATION_INFO = {"version_to": "0.9.0"}\ndef migrate_forward(r): return True\n' },
      code: 'STEP_VERSION_DIFFERS',
    },
  ])('$why is told', async ({ files, code }) => {
    const { findings, problems } = await read(files);
    expect(problems).toEqual([]);
    expect(findings).toMatchObject([{ code, message: expect.stringContaining(t), place: { file: expect.stringContaining(t) } }]);
  });
});

describe('transition.yaml', () => {
  const nothing = {
    description: '',
    breaking: false,
    stop: false,
    blocked: null,
    requires: { diskBytes: null, memoryBytes: null, commands: [], services: [], env: [] },
    images: {},
    ladders: {},
  };
  test.each([
    {
      why: 'plain lines',
      text: 'description: Adds mail (again)\nbreaking: true\nstop: true\nblocked: loses mail\n',
      is: { description: 'Adds mail (again)', breaking: true, stop: true, blocked: 'loses mail' },
    },
    {
      why: 'quotes, comments and CRLF',
      text: '# why\r\ndescription: "Adds: mail" # really\r\nstop: true # yes\r\n',
      is: { description: 'Adds: mail', stop: true },
    },
    {
      why: 'everything',
      text: 'requires: { disk: 2GB, memory: 1GB, command: [jq], services: [api], env: [HOME] }\nimages: { api: { image: "api:0.2.0", file: images/api.tar } }\nladders: { main: 23 }',
      is: {
        requires: { diskBytes: 2 * 1024 ** 3, memoryBytes: 1024 ** 3, commands: ['jq'], services: ['api'], env: ['HOME'] },
        images: { api: { image: 'api:0.2.0', file: 'images/api.tar' } },
        ladders: { main: 23 },
      },
    },
    { why: 'one program as text', text: 'requires: { command: jq }', is: { requires: { ...nothing.requires, commands: ['jq'] } } },
    { why: 'nothing', text: '\n', is: {} },
  ])('$why', async ({ text, is }) => {
    const { config, problems } = await read({ [`${t}/transition.yaml`]: text });
    expect(problems).toEqual([]);
    expect((await readTransitionGraph(config)).transitions).toMatchObject([{ ...nothing, ...is }]);
  });
});

test('only the transitions that are asked for are read; one that is missing is named', async () => {
  const { config } = await read({ [`${t}/001_x.sql`]: 'X', 'v0.2.0_to_v0.3.0/001_bad.sql': '-- rungs: { nope: 1 }\nX' });
  const one = await readTransitions(config, [t], { describeModules: async () => [] });
  expect(one.transitions.map(({ id }) => id)).toEqual([t]);
  expect(one.problems).toEqual([]);
  const none = await readTransitions(config, ['v0.5.0_to_v0.6.0'], { describeModules: async () => [] });
  expect(none.problems).toMatchObject([{ code: 'TRANSITION_MISSING' }]);
});

test('an image file beside a transition is hashed; one that is not there, and one that a registry has, are not', async () => {
  const { transitions, problems } = await read({
    [`${t}/transition.yaml`]: 'images: { api: { image: "api:2", file: images/api.tar } }\n',
    [`${t}/images/api.tar`]: 'layers',
    'v0.2.0_to_v0.3.0/transition.yaml': 'images: { api: { image: "api:3", file: images/api.tar } }\n',
    'v0.3.0_to_v0.4.0/transition.yaml': 'images: { api: "api:4" }\n',
  });
  expect(problems).toEqual([]);
  expect(transitions.map(({ images }) => images['api'])).toEqual([
    { image: 'api:2', file: 'images/api.tar', sha256: createHash('sha256').update('layers').digest('hex') },
    { image: 'api:3', file: 'images/api.tar' },
    { image: 'api:4', file: null },
  ]);
  expect(transitions.flatMap(({ files }) => files.map(({ path }) => path))).not.toContain('images/api.tar');
});
