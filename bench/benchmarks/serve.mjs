// What is served on loopback: answers a second of `/api/v1/status` on a journal of 10,000 steps, beside `/healthz`, which does no work; and the first
// paint of the page in Chromium, beside a page of one word.
import autocannon from 'autocannon';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as commands from '../lib/commands.mjs';
import * as fixtures from '../lib/fixtures.mjs';
import { median } from '../lib/measure.mjs';
import { printBound, printFloor } from '../lib/report.mjs';
import { startServing } from '../lib/serving.mjs';

const count = 10_000;
const chromiumPath = '/usr/bin/chromium';

export async function run({ rounds }) {
  const dir = mkdtempSync(join(tmpdir(), 'rungs-bench-'));
  try {
    fixtures.installation(dir, { count });
    const [program, ...args] = commands.upgrade('--yes', '-q');
    const { status, stderr } = spawnSync(program, args, { cwd: dir, encoding: 'utf8' });
    if (status !== 0) throw new Error(`the upgrade ended with ${status}: ${stderr}`);
    const served = await startServing(dir);
    try {
      await measureAnswers(served, rounds);
      await measurePaint(served, rounds);
    } finally {
      await served.stop();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function measureAnswers({ url, token }, rounds) {
  const ask = async (path) => {
    const { statusCodeStats, duration, errors } = await autocannon({
      url: `${url}${path}`,
      connections: 20,
      duration: 3,
      headers: { authorization: `Bearer ${token}` },
    });
    const counts = Object.fromEntries(Object.entries(statusCodeStats).map(([code, { count: many }]) => [code, many]));
    // More than 5,000 a second for one token are refused with 429, and count for nothing.
    const { 200: answered = 0, 429: _refused, ...others } = counts;
    if (errors > 0 || Object.keys(others).length > 0) throw new Error(`${path}: ${JSON.stringify(counts)}, ${errors} without an answer`);
    return answered / duration;
  };
  const answers = { '/api/v1/status': [], '/healthz': [] };
  for (let round = 0; round <= rounds; round += 1) {
    for (const [path, rates] of Object.entries(answers)) {
      const rate = await ask(path);
      if (round > 0) rates.push(rate);
    }
  }
  console.log(`\nserve: ${count} steps in the journal, 20 connections`);
  for (const [path, rates] of Object.entries(answers))
    console.log(`  ${path.padEnd(34)} ${median(rates).toFixed(0).padStart(9)} answers a second`);
  printFloor('answers of /api/v1/status a second', median(answers['/api/v1/status']), 2_000);
}

async function measurePaint({ url }, rounds) {
  if (!existsSync(chromiumPath)) {
    console.log('  first paint: left out, Chromium is missing');
    return;
  }
  const { chromium } = await import('playwright-core');
  const browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const page = await browser.newPage();
    const paints = { '/': [], '/healthz': [] };
    for (let round = 0; round <= rounds; round += 1) {
      for (const [path, times] of Object.entries(paints)) {
        await page.goto('about:blank');
        await page.goto(`${url}${path}`);
        const time = await page.evaluate(firstPaint);
        if (round > 0) times.push(time);
      }
    }
    console.log(`  first paint: ${median(paints['/']).toFixed(0)} ms, of a page of one word ${median(paints['/healthz']).toFixed(0)} ms`);
    printBound('first paint', median(paints['/']), 300, ' ms');
  } finally {
    await browser.close();
  }
}

const firstPaint = `new Promise((resolve) =>
  new PerformanceObserver((list) =>
    list.getEntriesByName('first-contentful-paint').forEach(({ startTime }) => resolve(startTime)),
  ).observe({ type: 'paint', buffered: true }),
)`;
