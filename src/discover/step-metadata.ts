// What a step says of itself, from whichever form it has to `StepMetadata`: both spellings read, names checked, durations in milliseconds.
import { stepMetadata, type StepMetadataText } from '../../schemas/step-metadata.ts';
import { failure, type Failure } from '../model/failure.ts';
import { nearest } from '../model/nearest.ts';
import type { StepMetadata } from '../model/plan.ts';
import { checkShape } from '../model/schema-problems.ts';
import { parseDuration, parseSize } from '../model/units.ts';
import type { Located } from '../model/yaml-source.ts';
import type { KnownNames } from './transition-file.ts';

/** What was declared, and where, for whoever has to say what is wrong with it. */
export interface Declared {
  readonly text: StepMetadataText;
  /** Called only where there is a problem: finding places costs time. */
  locate(): { readonly source: Located; readonly under: readonly string[] };
}

export function checkDeclared(
  source: Located,
  under: readonly string[],
  of: string,
): { readonly declared: Declared | null; readonly problems: readonly Failure[] } {
  const checked = checkShape(stepMetadata, source, of, under);
  const text = checked.ok ? checked.value : checked.rest;
  return { declared: text === null ? null : { text, locate: () => ({ source, under }) }, problems: checked.ok ? [] : checked.problems };
}

/** `name` describes a step that does not describe itself. */
export function metadataOf(text: StepMetadataText, name: string): Omit<StepMetadata, 'hasCheck'> {
  const breaking = text.breaking ?? text.breaking_changes ?? false;
  return {
    description: text.description ?? name.replaceAll(/[_-]/g, ' '),
    requiresRestart: [...new Set(text.requiresRestart ?? text.requires_restart ?? [])],
    breaking: typeof breaking === 'boolean' ? breaking : breaking.length > 0,
    estimatedDurationMs: milliseconds(text.estimatedDuration ?? text.estimated_duration ?? text.estimated_duration_seconds),
    timeoutMs: milliseconds(text.timeout),
    idempotent: text.idempotent ?? false,
    database: text.database ?? null,
    transaction: text.transaction ?? true,
    backup: text.backup ?? [],
    lockTimeoutMs: milliseconds(text.lockTimeout ?? text.lock_timeout),
    statementTimeoutMs: milliseconds(text.statementTimeout ?? text.statement_timeout),
    memoryBytes: text.memory === undefined ? null : parseSize(text.memory),
  };
}

/** Names that the configuration does not have, paths that lead out, and two spellings of one thing. */
export function declaredProblems({ text, locate }: Declared, step: string, known: KnownNames): readonly Failure[] {
  const problems: Failure[] = [];
  const at = (path: readonly (string | number)[], on: 'key' | 'value' = 'value') => {
    const { source, under } = locate();
    return { place: source.placeAt([...under, ...path], on), step };
  };
  for (const key of ['requiresRestart', 'requires_restart'] as const) {
    for (const [index, name] of (text[key] ?? []).entries()) {
      if (name === '*' || Object.hasOwn(known.services, name)) continue;
      const names = Object.keys(known.services);
      problems.push(
        failure('UNKNOWN_NAME', { of: step, key, what: 'service', name, nearest: nearest(name, names), known: names }, at([key, index])),
      );
    }
  }
  if (text.database !== undefined && !Object.hasOwn(known.databases, text.database)) {
    const names = Object.keys(known.databases);
    problems.push(
      failure(
        'UNKNOWN_NAME',
        { of: step, key: 'database', what: 'database', name: text.database, nearest: nearest(text.database, names), known: names },
        at(['database']),
      ),
    );
  }
  for (const [index, entry] of (text.backup ?? []).entries()) {
    const why = entry.startsWith('/')
      ? 'but has to be relative to the root'
      : entry.split('/').includes('..')
        ? 'which may lead out of the root'
        : null;
    if (why !== null) problems.push(failure('PATH_REFUSED', { of: step, key: 'backup', path: entry, why }, at(['backup', index])));
  }
  for (const [key, other] of spellings) {
    const [one, two] = [text[key], text[other]];
    if (one === undefined || two === undefined || JSON.stringify(one) === JSON.stringify(two)) continue;
    problems.push(failure('METADATA_TWICE', { step, key, other }, at([other], 'key')));
  }
  return problems;
}

const spellings = [
  ['requiresRestart', 'requires_restart'],
  ['breaking', 'breaking_changes'],
  ['estimatedDuration', 'estimated_duration'],
  ['estimatedDuration', 'estimated_duration_seconds'],
  ['lockTimeout', 'lock_timeout'],
  ['statementTimeout', 'statement_timeout'],
] as const;

function milliseconds(value: string | number | undefined): number | null {
  if (value === undefined) return null;
  return typeof value === 'number' ? Math.round(value * 1000) : parseDuration(value);
}
