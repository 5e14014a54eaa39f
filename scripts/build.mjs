// Bundles the executable, the library and the step host into dist/, so that a start reads few files. `--quick` leaves the type
// declarations out. Runs in `npm ci` (prepare) and before the tests: what is tested is what is shipped.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { build as buildPage } from 'vite';

const isQuick = process.argv.includes('--quick');

rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: {
    cli: 'src/cli/main.ts',
    index: 'src/index.ts',
    'step-host': 'src/steps/host/main.ts',
    'step-api': 'src/step-api.ts',
    'proof-worker': 'src/backup/proof-worker.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // Whatever parses faster starts faster; names stay, for stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  keepNames: false,
  legalComments: 'linked',
  chunkNames: 'chunk-[hash]',
  // Its ES module build keeps its names under `await import()`, and what is not used is left out.
  alias: { yaml: path.resolve('node_modules/yaml/browser/dist/index.js') },
  // pino starts worker threads by file name, so it stays a package of its own; it is loaded only by a run.
  external: ['pino', 'pg', 'libpg-query', 'dockerode', 'fastify', '@fastify/*', 'prom-client', '@opentelemetry/*'],
  banner: { js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);" },
  // `upgrade explain` prints it wherever the bundle lies.
  define: { RUNGS_ERRORS_PAGE: JSON.stringify(readFileSync('docs/errors.md', 'utf8')) },
  logLevel: 'warning',
});

await buildDashboard();

if (!isQuick) {
  const { status } = spawnSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

/** One page with one script and one style: everything that it needs comes from the server that it is about. */
async function buildDashboard() {
  await buildPage({
    configFile: false,
    root: 'src/serve/dashboard',
    base: '/',
    logLevel: 'warn',
    build: {
      outDir: path.resolve('dist/dashboard'),
      emptyOutDir: true,
      target: 'es2023',
      // Nothing is written into the page itself: its policy allows no script and no style there.
      modulePreload: false,
      assetsInlineLimit: 0,
      cssCodeSplit: false,
    },
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  });
}
