// `npm run demo`: upgrades a scratch copy of the sample product from 0.1.0 to 0.3.0 and shows before and after.
// `npm run demo -- --break` lets a step fail on the way and proves that everything is as before; `--keep` leaves the copy there.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(`The demo needs Node.js 24 or newer, and this is ${process.versions.node}: "npm ci && npm run demo" brings its own.`);
  process.exit(2);
}
const { runDemo } = await import('./demo/run-demo.ts');
process.exitCode = await runDemo(process.argv.slice(2));
