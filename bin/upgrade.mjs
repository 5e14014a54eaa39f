#!/usr/bin/env node
// The executable. It must be understood by any Node, so that an old one gets a sentence instead of a stack trace.
const major = Number(process.versions.node.split('.')[0]);
if (process.platform === 'win32') {
  console.error('upgrade: Rungs runs on Linux and macOS, not on Windows.');
  process.exitCode = 2;
} else if (major < 24) {
  console.error(`upgrade: Rungs needs Node.js 24 or newer; this is ${process.version} (${process.execPath}).`);
  process.exitCode = 2;
} else {
  await import('../dist/cli.js');
}
