// The executable's beginning: runs a command, prints what went wrong, and leaves with the contract's exit code.
import { rungsVersion } from '../rungs-version.ts';
import { keepCompiledCode } from './compile-cache.ts';
import { systemTerminal } from './terminal.ts';

// Told before anything else is loaded, and before the options are known: nothing but the answer.
if (process.argv.length === 3 && process.argv[2] === '--version') {
  process.stdout.write(`${rungsVersion}\n`);
} else {
  keepCompiledCode(process.env);
  const { main } = await import('./run-main.ts');
  await main(process.argv.slice(2), systemTerminal());
}
