// `upgrade new FROM TO NAME` and `upgrade new NAME --ladder LADDER`: writes the next numbered step, ready to be filled in.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fail } from '../../model/failure.ts';
import { compareVersions, parseVersion } from '../../model/version.ts';
import { newLadderStep } from '../../session/new-ladder-step.ts';
import { writeStep } from '../../session/write-step.ts';
import type { CommonFlags } from '../flags.ts';
import { openManager } from '../manager.ts';
import { present } from '../output.ts';
import { scriptTemplate, stepTemplate, type TemplateKind } from '../step-templates.ts';
import type { Terminal } from '../terminal.ts';

export interface NewStepFlags extends CommonFlags {
  readonly kind?: TemplateKind;
  readonly ladder?: string;
}

/** The document is `{ file }`; for a ladder with an index `{ file, index }`. */
export async function newStep(words: readonly string[], flags: NewStepFlags, terminal: Terminal): Promise<number> {
  const name = words.at(-1) ?? '';
  if (flags.ladder === undefined ? words.length !== 3 : words.length !== 1 && words.length !== 3)
    throw fail('NEW_STEP_ARGUMENTS', { given: words.length });
  const [from, to] = words.length === 3 ? words.slice(0, 2).map((word) => parseVersion(word)) : [];
  if (from !== undefined && to !== undefined && compareVersions(from, to) >= 0) throw fail('TRANSITION_NOT_UPWARD', { from, to });
  if (!/^[a-z0-9_-]+$/.test(name)) throw fail('BAD_STEP_NAME', { name });
  const { config } = await openManager(flags, terminal);
  const databases = Object.keys(config.databases);
  const facts = { from: from ?? null, to: to ?? null, name, database: databases[0] ?? null };
  const written =
    flags.ladder === undefined
      ? write({
          dir: path.join(config.migrations, `v${from}_to_v${to}`),
          name,
          kind: flags.kind ?? 'ts',
          text: (kind) => stepTemplate(kind, facts),
        })
      : await newLadderStep(config, {
          ladder: flags.ladder,
          name,
          kind: flags.kind ?? null,
          text: (kind, { database, isScript }) =>
            isScript ? scriptTemplate(kind, name) : stepTemplate(kind, { ...facts, database: database ?? facts.database }),
        });
  present(flags, terminal, written, () => [path.relative(terminal.cwd, written.file)]);
  return 0;
}

function write({
  dir,
  name,
  kind,
  text,
}: {
  readonly dir: string;
  readonly name: string;
  readonly kind: TemplateKind;
  readonly text: (kind: TemplateKind) => string;
}): { readonly file: string } {
  const file = path.join(dir, `${String(nextNumber(dir)).padStart(3, '0')}_${name}.${kind}`);
  writeStep(file, text(kind));
  return { file };
}

function nextNumber(dir: string): number {
  if (!existsSync(dir)) return 1;
  const numbers = readdirSync(dir).map((name) => Number(/^(\d{3,})_/.exec(name)?.[1] ?? 0));
  return Math.max(0, ...numbers) + 1;
}
