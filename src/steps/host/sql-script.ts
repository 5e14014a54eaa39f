// The text of one half of an SQL step: the file as it lies in the run's copies, and the section that is to be run.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { splitSql } from '../../model/sql-sections.ts';
import { packName, unpackSteps } from '../../model/step-pack.ts';
import type { HostOrder } from './protocol.ts';
import { lineAt } from './sql-statements.ts';

export interface SqlScript {
  /** The whole file, for line numbers. */
  readonly text: string;
  readonly section: string;
  /** Where the section stands in the file; negative where it is joined from several. */
  readonly sectionOffset: number;
}

export function readScript(order: HostOrder): SqlScript {
  const text = textOf(order.file);
  const section = order.isWhole ? text : order.direction === 'forward' ? splitSql(text).forward : (splitSql(text).backward ?? '');
  return { text, section, sectionOffset: text.indexOf(section) };
}

/** Sections are trimmed and may be joined from several, so a statement that is not where it should be is looked for. */
export function lineOf({ text, sectionOffset }: SqlScript, statement: { readonly text: string; readonly offset: number }): number | null {
  const expected = sectionOffset + statement.offset;
  const offset = sectionOffset >= 0 && text.startsWith(statement.text, expected) ? expected : text.indexOf(statement.text);
  return offset < 0 ? null : lineAt(text, offset);
}

const packs = new Map<string, ReadonlyMap<string, Uint8Array> | null>();

/** Out of the pack of the folder's small steps, if there is one and it has it. */
function textOf(file: string): string {
  const dir = dirname(file);
  let pack = packs.get(dir);
  if (pack === undefined) {
    const at = join(dir, packName);
    pack = existsSync(at) ? unpackSteps(readFileSync(at)) : null;
    packs.set(dir, pack);
  }
  const packed = pack?.get(basename(file));
  return packed === undefined ? readFileSync(file, 'utf8') : Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength).toString();
}
