// What can be told from the words of a call before, and even without, understanding it: so that an error is told in the way that was asked for.
export interface Invocation {
  /** `null`: the upgrade itself, or nothing that can be told. */
  readonly command: string | null;
  readonly isJson: boolean;
  readonly isEvents: boolean;
  readonly isVerbose: boolean;
  readonly hasColor: boolean;
}

/** Flags that may stand before the command and take a value. */
const takeValue: ReadonlySet<string> = new Set([
  '-c',
  '--config',
  '--root',
  '--from',
  '--to',
  '--plan-hash',
  '--handed-over',
  '--step',
  '--format',
  '--on-failure',
  '--listen',
  '--allow-host',
  '--scope',
  '--expires',
]);

export function readInvocation(argv: readonly string[]): Invocation {
  const end = argv.indexOf('--');
  const words = end < 0 ? argv : argv.slice(0, end);
  const flags: string[] = [];
  const operands: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (!word.startsWith('-') || word === '-') operands.push(word);
    else if (takeValue.has(word)) flags.push(`${word}=${words[(at += 1)] ?? ''}`);
    else flags.push(word);
  }
  const has = (long: string, short?: string): boolean =>
    flags.some((flag) => flag === long || (short !== undefined && new RegExp(`^-[a-z]*${short}`).test(flag) && !flag.startsWith('-c')));
  return {
    // What a flag that nobody knows takes is mostly a version or a path.
    command: operands.find((word) => /^[a-z]+$/i.test(word)) ?? null,
    isJson: has('--json') || flags.includes('--format=json'),
    isEvents: has('--events'),
    isVerbose: has('--verbose', 'v'),
    hasColor: !has('--no-color'),
  };
}

/** These tell how they ended by a result document, whatever the end is. */
export function isRunning({ command }: Invocation): boolean {
  return command === null || ['resume', 'rollback', 'up', 'down', 'redo', 'boot'].includes(command);
}
