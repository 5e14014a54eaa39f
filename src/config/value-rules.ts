// Values that have a grammar of their own: URLs, ports, patterns, regular expressions, JSON pointers.
import { failure, type Failure } from '../model/failure.ts';
import { parseDuration } from '../model/units.ts';
import { dotted, type RuleContext } from './rule-context.ts';

type Path = readonly (string | number)[];

export function valueRules(context: RuleContext): readonly Failure[] {
  const { text, config, of, place, isHidden } = context;
  const problems: Failure[] = [];
  const wrong = (at: Path, value: string, expected: string) =>
    problems.push(failure('WRONG_VALUE', { of, key: dotted(at), found: isHidden(at) ? null : JSON.stringify(value), expected }, place(at)));
  const url = (at: Path, value: string, protocols: readonly string[]) => {
    if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol))
      wrong(at, value, `a URL that begins with ${protocols.map((one) => `${one}//`).join(' or ')}`);
  };
  const regexp = (at: Path, value: string | null | undefined) => {
    if (value !== null && value !== undefined && !isRegExp(value)) wrong(at, value, 'a regular expression');
  };

  for (const [name, database] of Object.entries(config.databases)) {
    if (database.kind === 'postgres') url(['databases', name, 'postgres'], database.url, ['postgres:', 'postgresql:']);
  }
  if (config.journal.kind === 'postgres') url(['journal', 'postgres'], config.journal.url, ['postgres:', 'postgresql:']);
  for (const [at, { webhook, key }] of config.notify.entries()) {
    url(['notify', at, 'webhook'], webhook, ['https:', 'http:']);
    if (config.notify.findIndex((other) => other.key === key) < at) {
      const given = text.notify?.[at]?.name;
      const where = place(['notify', at, given === undefined ? 'webhook' : 'name']);
      problems.push(failure('DUPLICATE_KEY', { of, key: `notify: ${given === undefined ? 'webhook' : `name: ${given}`}` }, where));
    }
  }
  for (const [at, probe] of config.verify.entries()) {
    const under = ['verify', at];
    if (probe.kind === 'http') {
      url([...under, 'http'], probe.url, ['http:', 'https:']);
      regexp([...under, 'expect', 'body'], probe.expect.body);
      const isGiven = context.keysAt([...under, 'tls']).length > 0;
      if (isGiven && probe.url.startsWith('http:'))
        wrong([...under, 'http'], probe.url, 'a URL that begins with https://, as "tls" is given');
      for (const pointer of Object.keys(probe.expect.json)) {
        if (!/^(\/([^~/]|~[01])*)*$/.test(pointer)) {
          problems.push(
            failure(
              'BAD_NAME',
              { of, key: dotted([...under, 'expect', 'json', pointer]), expected: 'a JSON pointer such as /status here' },
              place([...under, 'expect', 'json', pointer], 'key'),
            ),
          );
        }
      }
    }
    if (probe.kind === 'tcp' && (probe.port < 1 || probe.port > 65_535))
      wrong([...under, 'tcp'], String(probe.port), 'an address whose port is 1 to 65535');
    if (probe.kind === 'command') regexp([...under, 'expect', 'stdout'], probe.expect.stdout);
  }
  for (const [at, glob] of config.backup.exclude.entries()) {
    const expected = globProblem(glob);
    if (expected !== null) wrong(['backup', 'exclude', at], glob, expected);
  }
  for (const key of ['step', 'lock', 'total'] as const) {
    const value = text.timeouts?.[key];
    if (value !== undefined && parseDuration(value) === 0 && key !== 'lock') wrong(['timeouts', key], value, 'longer than nothing');
  }
  return problems;
}

function isRegExp(text: string): boolean {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

/** What the pattern has to be, or `null` where it is well. */
function globProblem(glob: string): string | null {
  if (glob.startsWith('/')) return 'a pattern relative to the root';
  if (glob.split('/').includes('..')) return 'a pattern inside the root, without ".."';
  const open: string[] = [];
  for (const [at, letter] of [...glob].entries()) {
    if (glob[at - 1] === '\\') continue;
    if (open.at(-1) === '[' ? letter === ']' : letter === '}') {
      if (open.pop() === undefined) return 'a pattern whose brackets are closed';
    } else if (open.at(-1) !== '[' && (letter === '[' || letter === '{')) open.push(letter);
  }
  return open.length > 0 ? 'a pattern whose brackets are closed' : null;
}
