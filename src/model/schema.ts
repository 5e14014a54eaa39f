// The schema of a database as a list of objects with facts, so that two can be compared object by object; and how two of them differ.

/** A table, a column, an index: whatever has a definition of its own. */
export interface SchemaObject {
  /** `table`, `column`, `index`, `check`, `function`… for people. */
  readonly kind: string;
  /** Unique among its kind: `users`, `users.email`. What has no name of its own is told by its definition. */
  readonly name: string;
  /** The table (view…) that it belongs to: where that is missing, so is this, and goes without saying. */
  readonly of: string | null;
  /** In wording that does not depend on who wrote the definition. Facts that do not hold are left out. */
  readonly facts: Readonly<Record<string, string>>;
  /** What tells nobody anything that matters, the name that a server made up for a constraint, say: a difference in it is a warning. */
  readonly minor?: Readonly<Record<string, string>>;
}

export interface SchemaDump {
  readonly objects: readonly SchemaObject[];
  /** Rows by table, with a digest that does not depend on the order of rows and columns. */
  readonly rows: Readonly<Record<string, { readonly rows: number; readonly digest: string }>>;
  /** Records that migration tools keep, by table: they are no part of the schema. */
  readonly records: readonly string[];
}

/** One object that is not the same on both sides. `facts`: those that differ, `null` where a side has none. */
export interface SchemaDifference {
  readonly kind: string;
  readonly name: string;
  readonly side: 'only in fresh' | 'only in the ladder' | 'differs';
  readonly facts: readonly { readonly name: string; readonly fresh: string | null; readonly ladder: string | null }[];
}

export interface SchemaComparison {
  readonly differences: readonly SchemaDifference[];
  /** Differences that nothing can break over: the order of columns, names that were made up. */
  readonly minor: readonly SchemaDifference[];
  /** Seed rows that are not the same. `counts`: fewer or more; else the values alone, times of creation for one. */
  readonly rows: readonly { readonly table: string; readonly fresh: number; readonly ladder: number; readonly kind: 'counts' | 'values' }[];
  /** Records of other tools that one side has: left out of the comparison. */
  readonly records: readonly { readonly table: string; readonly side: 'only in fresh' | 'only in the ladder' }[];
}
