// The dashboard in a real Chromium, beside real upgrades: seen from start to rolled back, with a thousand steps, with the server killed under it, in light
// and dark, on a phone, by keyboard, and by axe-core. With SCREENSHOTS=docs/images (npm run screenshots) it also draws what it sees.
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { testNeeding } from '../../support/needs.ts';
import { startBrowser } from '../../support/browser.ts';
import { makeScene, type Scene } from './scene.ts';
import { startServe, type Served } from './server.ts';

const test = testNeeding('chromium');
const images = process.env['SCREENSHOTS'];
const patience = { timeout: 60_000 };

let browser: Browser;
let scene: Scene;
let served: Served;
const problems: string[] = [];

beforeAll(async () => {
  if (existsSync('/usr/bin/chromium')) browser = await startBrowser();
});
afterAll(async () => browser?.close());
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  await served.stop();
  scene.remove();
  problems.length = 0;
});

interface Look {
  readonly scheme?: 'light' | 'dark';
  readonly width?: number;
  readonly token?: string | null;
}

async function open({ scheme = 'light', width = 1100, token = served.token }: Look = {}): Promise<Page> {
  const context = await browser.newContext({
    colorScheme: scheme,
    viewport: { width, height: 800 },
    deviceScaleFactor: width < 500 ? 2 : 1,
  });
  const page = await context.newPage();
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    // That the server is away is what some tests are about.
    if (message.type() === 'error' && !/Failed to load resource|ERR_/.test(message.text())) problems.push(message.text());
  });
  if (token !== null) await page.addInitScript(`sessionStorage.setItem('rungs-token', ${JSON.stringify(token)})`);
  await page.goto(served.url);
  if (token !== null) await page.getByText('live', { exact: true }).waitFor(patience);
  return page;
}

async function draw(page: Page, name: string): Promise<void> {
  if (images === undefined) return;
  mkdirSync(images, { recursive: true });
  await page.screenshot({ path: path.join(images, `${name}.png`), fullPage: true, animations: 'disabled' });
}

async function violations(page: Page): Promise<readonly string[]> {
  // Into a world of its own: the page's policy lets no script in, and that is as it should be.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', {
    contextId: executionContextId,
    expression: `${axe.source}; axe.run(document).then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' | ')))`,
    awaitPromise: true,
    returnByValue: true,
  });
  if (exceptionDetails !== undefined) throw new Error(exceptionDetails.text);
  return result.value as readonly string[];
}

const isWide = (page: Page): Promise<boolean> =>
  page.evaluate<boolean>('document.documentElement.scrollWidth > document.documentElement.clientWidth');

test('an upgrade is watched from its start to where it is rolled back', async () => {
  scene = makeScene();
  served = await startServe(scene);
  const page = await open();
  await page.getByText('No run yet').waitFor(patience);
  expect(await page.locator('.badge').innerText()).toMatch(/1\.0\.0\s+→ 3\.0\.0 can be reached\s+2 transitions pending/);
  await scene.upgrade(['--to', '2.0.0', '--yes']);
  await page.getByText('Last run: 1.0.0 → 2.0.0').waitFor(patience);

  const going = scene.upgrade(['--to', '3.0.0', '--yes']);
  await page.getByText('Upgrade 2.0.0 → 3.0.0').waitFor(patience);
  await page.getByText('counted 20').first().waitFor(patience);
  expect(await page.locator('.badge').innerText()).toContain('an upgrade is going on');
  expect(await page.locator('.phases [aria-current]').innerText()).toContain('orchestration');
  await page.getByText(/of 100 rows/).waitFor(patience);
  expect(await page.getByRole('progressbar').count()).toBeGreaterThan(0);
  expect(await violations(page)).toEqual([]);
  await draw(page, 'dashboard-running');

  scene.go('fail');
  expect((await going).code).toBe(10);
  await page.getByText('Last run: 2.0.0 → 3.0.0').waitFor(patience);
  await page.locator('#run ~ .aside, .card .pill').getByText('rolled back').first().waitFor(patience);
  const failure = page.locator('.failure').first();
  expect(await failure.innerText()).toMatch(/row 4711 <b>cannot<\/b> be counted[\s\S]*STEP_FAILED[\s\S]*→/);
  await page.getByText(/^Next:/).waitFor(patience);
  expect(await page.getByRole('row').count()).toBe(3);
  expect(await violations(page)).toEqual([]);
  // What the step printed is text, and nothing else.
  expect(await page.locator('img').count()).toBe(0);
  expect(await page.title()).toBe('Rungs');
  expect(problems).toEqual([]);
});

test('light and dark, on a desk and at 360 px: nothing sticks out, and axe-core finds nothing', async () => {
  scene = makeScene({ steps: 24 });
  served = await startServe(scene);
  await scene.upgrade(['--to', '1.1.0', '--yes']);
  await scene.upgrade(['--to', '2.0.0', '--yes']);
  scene.go('fail');
  expect((await scene.upgrade(['--to', '3.0.0', '--yes'])).code).toBe(10);
  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [1100, 360]) {
      const page = await open({ scheme, width });
      await page.getByRole('heading', { name: 'History' }).waitFor(patience);
      await page.getByRole('heading', { name: 'Services and probes' }).waitFor(patience);
      expect(await violations(page)).toEqual([]);
      expect(await isWide(page)).toBe(false);
      if ((scheme === 'dark') === width > 1_000) await draw(page, `dashboard-${scheme}-${width}`);
    }
  }
  expect(problems).toEqual([]);
});

test('the server is killed under the page, a run goes on meanwhile, and the page comes back by itself with all of it', async () => {
  scene = makeScene();
  served = await startServe(scene);
  await scene.upgrade(['--to', '1.1.0', '--yes']);
  const page = await open();
  await page.getByText('Last run: 1.0.0 → 1.1.0').waitFor(patience);
  await served.stop('SIGKILL');
  await page.getByRole('alert').getByText('The server does not answer').waitFor(patience);
  // What was known is still there.
  expect(await page.locator('.badge').innerText()).toContain('1.1.0');
  await scene.upgrade(['--to', '2.0.0', '--yes']);
  const going = scene.upgrade(['--to', '3.0.0', '--yes']);
  served = await startServe(scene, { port: served.port, token: served.token });
  await page.getByText('Upgrade 2.0.0 → 3.0.0').waitFor(patience);
  await page.getByText('live', { exact: true }).waitFor(patience);
  expect(await page.getByRole('alert').count()).toBe(0);
  scene.go('well');
  expect((await going).code).toBe(0);
  await page.getByText('Last run: 2.0.0 → 3.0.0').waitFor(patience);
  expect(await page.locator('.badge').innerText()).toMatch(/3\.0\.0\s+up to date/);
  expect(problems).toEqual([]);
});

test('a thousand steps stay usable: few are drawn, all can be, and the page answers at once', async () => {
  scene = makeScene({ steps: 1_000 });
  served = await startServe(scene);
  await scene.upgrade(['--to', '2.0.0', '--yes']);
  const page = await open();
  const going = scene.upgrade(['--to', '3.0.0', '--yes']);
  await page.getByText('Applied: 1,000 of 1,001 steps').waitFor(patience);
  const rows = page.locator('.steps li');
  expect(await rows.count()).toBeLessThan(100);
  await page.getByText('1001_count').first().waitFor(patience);
  await page.getByRole('button', { name: 'Show all 1,001 steps' }).click();
  await expect.poll(() => rows.count()).toBe(1_001);
  // A click is answered although the run tells something all the time: twice one frame of a film, with room for a busy machine.
  const answered = await page.evaluate<number>(
    'new Promise((resolve) => { const from = performance.now(); requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - from))); })',
  );
  expect(answered).toBeLessThan(2_000);
  scene.go('fail');
  expect((await going).code).toBe(10);
  await page.getByText('Last run: 2.0.0 → 3.0.0').waitFor(patience);
  expect(await violations(page)).toEqual([]);
  expect(problems).toEqual([]);
}, 300_000);

test('the door: a wrong token is refused with a reason, the right one is kept for this window alone, all by keyboard', async () => {
  scene = makeScene();
  served = await startServe(scene);
  const page = await open({ token: null });
  await page.getByRole('heading', { name: 'Rungs' }).waitFor(patience);
  expect(await violations(page)).toEqual([]);
  await page.keyboard.type('rungs_wrong');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('The token is not known.').waitFor(patience);
  await page.getByLabel('Token').fill(served.token);
  await page.keyboard.press('Enter');
  await page.getByText('live', { exact: true }).waitFor(patience);
  expect(await page.context().cookies()).toEqual([]);
  expect(await page.evaluate('localStorage.length')).toBe(0);
  await page.keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement?.textContent')).toBe('Skip to the content');
  await page.keyboard.press('Enter');
  expect(await page.evaluate('document.activeElement?.id')).toBe('content');
  await page.getByRole('button', { name: 'Forget token' }).click();
  await page.getByLabel('Token').waitFor(patience);
  expect(await page.evaluate('sessionStorage.length')).toBe(0);
});

test('the script of the page is small', async () => {
  scene = makeScene();
  served = await startServe(scene);
  const { body } = await served.ask('/', { token: null });
  const [, script = ''] = /src="([^"]+\.js)"/.exec(body) ?? [];
  const { headers } = await served.ask(script, { token: null, headers: { 'accept-encoding': 'gzip' } });
  expect(headers['content-encoding']).toBe('gzip');
  expect(Number(headers['content-length'])).toBeLessThan(60_000);
});
