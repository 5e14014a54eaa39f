// `npm run demo:docker`: upgrades a scratch copy of the sample product in containers, image 0.1.0 → 0.3.0, and shows before and after.
// `npm run demo:docker -- --break` takes an image that never becomes well, and proves that the old container is back; `--keep` leaves all of it there.
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(
    `The demo needs Node.js 24 or newer, and this is ${process.versions.node}: "npm ci && npm run demo:docker" brings its own.`,
  );
  process.exit(2);
}
const { runDockerDemo } = await import('./demo-docker/run-demo.ts');
process.exitCode = await runDockerDemo(process.argv.slice(2));
