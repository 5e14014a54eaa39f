// `upgrade new FROM TO NAME`: writes the next numbered step of a transition, ready to be filled in.
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fail } from '../../model/failure.ts';
import { compareVersions, parseVersion } from '../../model/version.ts';
import { openManager } from '../manager.ts';
import { present } from '../output.ts';
import type { CommonFlags } from '../program.ts';
import { stepTemplate, type TemplateKind } from '../step-templates.ts';
import type { Terminal } from '../terminal.ts';

export interface NewStepFlags extends CommonFlags {
  readonly kind?: TemplateKind;
}

export async function newStep(wanted: { readonly from: string; readonly to: string; readonly name: string }, flags: NewStepFlags, terminal: Terminal): Promise<number> {
  const from = parseVersion(wanted.from);
  const to = parseVersion(wanted.to);
  if (compareVersions(from, to) >= 0) throw fail('TRANSITION_NOT_UPWARD', { from, to });
  if (!/^[a-z0-9_-]+$/.test(wanted.name)) throw fail('BAD_STEP_NAME', { name: wanted.name });
  const { config } = await openManager(flags, terminal);
  const dir = path.join(config.migrations, `v${from}_to_v${to}`);
  const kind = flags.kind ?? 'ts';
  const file = path.join(dir, `${String(nextNumber(dir)).padStart(3, '0')}_${wanted.name}.${kind}`);
  if (existsSync(file)) throw fail('FILE_EXISTS', { file });
  mkdirSync(dir, { recursive: true });
  const databases = Object.keys(config.databases);
  writeFileSync(file, stepTemplate(kind, { from, to, name: wanted.name, database: databases[0] ?? null }), { flag: 'wx' });
  if (kind === 'sh') chmodSync(file, 0o755);
  present(flags, terminal, { file }, () => [path.relative(terminal.cwd, file)]);
  return 0;
}

function nextNumber(dir: string): number {
  if (!existsSync(dir)) return 1;
  const numbers = readdirSync(dir).map((name) => Number(/^(\d{3,})_/.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers) + 1;
}
