import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/config/load-config.ts';
import { readTransitions } from '../../../src/discover/transitions.ts';
import { describeModules } from '../../../src/steps/describe.ts';

const repository = path.resolve(import.meta.dirname, '../../..');
const pages = globSync('docs/**/*.md', { cwd: repository });
const text = (page: string) => readFileSync(path.join(repository, page), 'utf8');
const folders: string[] = [];

afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

function makeFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'rungs-docs-'));
  folders.push(folder);
  return folder;
}

/** As GitHub makes them. */
function anchorsOf(page: string): ReadonlySet<string> {
  const withoutCode = text(page).replace(/```[\s\S]*?```/g, '');
  return new Set(
    [...withoutCode.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test.each(pages)('every link in %s leads somewhere', (page) => {
  const links = [
    ...text(page)
      .replace(/```[\s\S]*?```/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g),
  ]
    .map(([, link = '']) => link)
    .filter((link) => !link.includes('://'));
  const broken = links.filter((link) => {
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? page : path.join(path.dirname(page), file);
    if (!existsSync(path.join(repository, target))) return true;
    return anchor !== undefined && !anchorsOf(target).has(anchor);
  });
  expect(broken).toEqual([]);
});

const yamlExamples = [
  ...text('docs/configuration.md').matchAll(/```yaml\n([\s\S]*?)```/g),
  ...text('docs/getting-started.md').matchAll(/```yaml\n([\s\S]*?)```/g),
].map(([, yaml = '']) => yaml);
const configs = yamlExamples.filter((yaml) => !yaml.startsWith('#') && !yaml.startsWith('description'));

test.each(configs)('the example is a valid configuration: %s', async (example) => {
  const folder = makeFolder();
  const missing = {
    product: 'product: example',
    version: 'version: { file: VERSION }',
    databases: 'databases: { app: { sqlite: data/app.db } }',
  };
  const added = Object.entries(missing).flatMap(([key, line]) => (new RegExp(`^${key}:`, 'm').test(example) ? [] : [line]));
  writeFileSync(path.join(folder, 'upgrade.yaml'), [example, ...added].join('\n'));
  const config = await loadConfig({ cwd: folder, env: { DATABASE_URL: 'postgres://user:password@host/database' } });
  expect(config.file).toBe(path.join(folder, 'upgrade.yaml'));
});

test('the steps in "Writing steps" are steps without a problem', async () => {
  const folder = makeFolder();
  const dir = path.join(folder, 'migrations', 'v1.2.0_to_v1.3.0');
  mkdirSync(dir, { recursive: true });
  const files = [...text('docs/writing-steps.md').matchAll(/`((?:\d{3}_|_)[\w.]+\.(?:sql|ts|mjs|sh|py))`:\n\n```\w+\n([\s\S]*?)```/g)];
  for (const [, name = '', body = ''] of files) writeFileSync(path.join(dir, name), body);
  writeFileSync(
    path.join(folder, 'upgrade.yaml'),
    'product: notes\nversion: { file: VERSION }\ndatabases: { notes: { sqlite: data/notes.db } }\nservices: { web: { command: { restart: [bin/notes, restart] } } }\n',
  );
  const config = await loadConfig({ cwd: folder, env: {} });
  const { transitions, problems } = await readTransitions(config, 'all', { describeModules });
  expect(problems).toEqual([]);
  expect(transitions[0]?.steps.map(({ kind }) => kind)).toEqual(['sql', 'sql', 'ts', 'sh', 'py', 'ts', 'js', 'ts']);
});
