// How far a call of `ctx.batches` is, as JSON that gives back every key exactly: it is committed with each batch.
import type { SqlValue } from '../../step-api.ts';

export interface Place {
  /** Of what is gone through. Another one at the same place means that the step does not do the same again. */
  readonly query: string;
  /** Of the last row that is done; `null` before the first. */
  readonly key: readonly SqlValue[] | null;
  readonly rows: number;
  readonly batches: number;
  /** Counted when it began. */
  readonly total: number;
  readonly isFinished: boolean;
}

/** By the call's name, or `#1` for the first of those without one. */
export type Places = ReadonlyMap<string, Place>;

export function savedPlaces(places: Places): unknown {
  return Object.fromEntries([...places].map(([name, place]) => [name, { ...place, key: place.key?.map(saved) ?? null }]));
}

export function readPlaces(value: unknown): Places {
  if (typeof value !== 'object' || value === null) return new Map();
  return new Map(
    Object.entries(value).map(([name, place]: [string, Place & { readonly key: readonly Saved[] | null }]) => [
      name,
      { ...place, key: place.key?.map(restored) ?? null },
    ]),
  );
}

type Saved = null | string | number | { readonly integer: string } | { readonly real: string } | { readonly bytes: string };

function saved(value: SqlValue): Saved {
  if (typeof value === 'bigint') return { integer: String(value) };
  if (typeof value === 'number') return Number.isFinite(value) ? value : { real: String(value) };
  return value instanceof Uint8Array ? { bytes: Buffer.from(value).toString('base64') } : value;
}

function restored(value: Saved): SqlValue {
  if (value === null || typeof value !== 'object') return value;
  if ('integer' in value) return BigInt(value.integer);
  return 'real' in value ? Number(value.real) : new Uint8Array(Buffer.from(value.bytes, 'base64'));
}
