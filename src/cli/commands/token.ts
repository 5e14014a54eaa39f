// `upgrade token create|list|revoke`: who may ask the status API.
import { count, marks, moment, type Ink } from '../../report/layout.ts';
import { table } from '../../report/table.ts';
import { createToken, listTokens, revokeToken, scopes, type Scope, type TokenRecord } from '../../serve/tokens.ts';
import { openManager } from '../manager.ts';
import { inkFor, present } from '../output.ts';
import type { CommonFlags } from '../flags.ts';
import type { Terminal } from '../terminal.ts';

export interface TokenFlags extends CommonFlags {
  readonly scope?: readonly Scope[];
  /** ISO 8601 */
  readonly expires?: string;
}

/** The token goes to stdout alone, so that it can be put where it belongs without anybody seeing it. */
export async function create(name: string, flags: TokenFlags, terminal: Terminal): Promise<number> {
  const { config } = await openManager(flags, terminal);
  const { token, record } = createToken(config.state, { name, scopes: flags.scope ?? scopes, expiresAt: flags.expires ?? null });
  present(flags, terminal, { token, ...shown(record) }, () => [token]);
  const until = record.expiresAt === null ? '' : `, until ${moment(record.expiresAt)}`;
  if (flags.quiet !== true) terminal.err(`This is the only time that it is shown. It may ${record.scopes.join(', ')}${until}.\n`);
  return 0;
}

export async function list(flags: TokenFlags, terminal: Terminal): Promise<number> {
  const { config } = await openManager(flags, terminal);
  const tokens = listTokens(config.state);
  const ink = inkFor(flags, terminal);
  present(flags, terminal, tokens.map(shown), () =>
    tokens.length === 0
      ? ['There is no token. "upgrade token create NAME" makes one.']
      : table(
          tokens.map((token) => row(token, ink)),
          terminal.columns,
        ),
  );
  return 0;
}

export async function revoke(name: string, flags: TokenFlags, terminal: Terminal): Promise<number> {
  const { config } = await openManager(flags, terminal);
  revokeToken(config.state, name);
  const left = listTokens(config.state).length;
  present(flags, terminal, { revoked: name, left }, () => [`"${name}" may not ask any more. ${count(left, 'token')} left.`]);
  return 0;
}

function shown({ name, scopes: allowed, createdAt, expiresAt }: TokenRecord) {
  return { name, scopes: allowed, createdAt, expiresAt };
}

function row({ name, scopes: allowed, createdAt, expiresAt }: TokenRecord, ink: Ink) {
  const isOver = expiresAt !== null && Date.parse(expiresAt) <= Date.now();
  const end = expiresAt === null ? '' : `${isOver ? 'expired' : 'until'} ${moment(expiresAt)}`;
  return {
    mark: isOver ? ink.bad(marks.failed) : ink.good(marks.done),
    cells: [ink.strong(name), allowed.join(', '), moment(createdAt), end],
  };
}
