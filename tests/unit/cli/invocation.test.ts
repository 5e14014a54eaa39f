// What is told of a call by its words alone, for errors that happen before it is understood.
import { expect, test } from 'vitest';
import { isRunning, readInvocation } from '../../../src/cli/invocation.ts';

test.each([
  { args: [], is: { command: null, isJson: false, isEvents: false, isVerbose: false, hasColor: true }, runs: true },
  { args: ['--json', '--from', 'status'], is: { command: null, isJson: true }, runs: true },
  { args: ['status', '--json'], is: { command: 'status', isJson: true }, runs: false },
  { args: ['-c', 'status', 'resume', '-v'], is: { command: 'resume', isVerbose: true }, runs: true },
  { args: ['-c', '--json', 'status'], is: { command: 'status', isJson: false }, runs: false },
  { args: ['plan', '--format', 'json'], is: { command: 'plan', isJson: true }, runs: false },
  { args: ['plan', '--format=json'], is: { command: 'plan', isJson: true }, runs: false },
  { args: ['--frmo', '1.0.0', '--events'], is: { command: null, isEvents: true }, runs: true },
  { args: ['boot', '--', 'ls', '--json', '-v'], is: { command: 'boot', isJson: false, isVerbose: false }, runs: true },
  { args: ['-qv', '--no-color', 'rollback'], is: { command: 'rollback', isVerbose: true, hasColor: false }, runs: true },
])('$args', ({ args, is, runs }) => {
  const invocation = readInvocation(args);
  expect(invocation).toMatchObject(is);
  expect(isRunning(invocation)).toBe(runs);
});
