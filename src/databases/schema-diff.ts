// Compares two schemas object by object. Pure. What belongs to a table that only one side has goes without saying.
import type { SchemaComparison, SchemaDifference, SchemaDump, SchemaObject } from '../model/schema.ts';

export function compareSchemas(fresh: SchemaDump, ladder: SchemaDump): SchemaComparison {
  const [left, right] = [byKey(fresh), byKey(ladder)];
  const differences: SchemaDifference[] = [];
  const minor: SchemaDifference[] = [];
  const alone = (
    objects: ReadonlyMap<string, SchemaObject>,
    others: ReadonlyMap<string, SchemaObject>,
    side: SchemaDifference['side'],
  ): void => {
    const owners = new Set([...others.values()].map(({ name }) => name));
    for (const [key, object] of objects) {
      const { kind, name, of, facts } = object;
      if (others.has(key) || (of !== null && !owners.has(of))) continue;
      const told = Object.entries(facts).map(([fact, value]) =>
        side === 'only in fresh' ? { name: fact, fresh: value, ladder: null } : { name: fact, fresh: null, ladder: value },
      );
      differences.push({ kind, name, side, facts: told });
    }
  };
  alone(left, right, 'only in fresh');
  alone(right, left, 'only in the ladder');
  for (const [key, object] of left) {
    const other = right.get(key);
    if (other === undefined) continue;
    const { kind, name } = object;
    const facts = differing(object.facts, other.facts);
    if (facts.length > 0) differences.push({ kind, name, side: 'differs', facts });
    const lesser = differing(object.minor ?? {}, other.minor ?? {});
    if (lesser.length > 0) minor.push({ kind, name, side: 'differs', facts: lesser });
  }
  return {
    differences: sorted(differences),
    minor: sorted([...minor, ...orders(left, right)]),
    rows: rowsThatDiffer(fresh, ladder),
    records: [
      ...fresh.records.filter((table) => !ladder.records.includes(table)).map((table) => ({ table, side: 'only in fresh' as const })),
      ...ladder.records.filter((table) => !fresh.records.includes(table)).map((table) => ({ table, side: 'only in the ladder' as const })),
    ],
  };
}

function byKey({ objects }: SchemaDump): ReadonlyMap<string, SchemaObject> {
  const found = new Map<string, SchemaObject>();
  for (const object of objects) {
    let key = `${object.kind} ${object.name}`;
    // Told by their definitions, two may be the same: each counts.
    while (found.has(key)) key += ' again';
    found.set(key, object);
  }
  return found;
}

function differing(fresh: SchemaObject['facts'], ladder: SchemaObject['facts']): SchemaDifference['facts'] {
  return [...new Set([...Object.keys(fresh), ...Object.keys(ladder)])].flatMap((name) =>
    fresh[name] === ladder[name] ? [] : [{ name, fresh: fresh[name] ?? null, ladder: ladder[name] ?? null }],
  );
}

/** Of the columns that both sides have: ALTER TABLE puts a new one last, wherever it stands in the file. */
function orders(left: ReadonlyMap<string, SchemaObject>, right: ReadonlyMap<string, SchemaObject>): readonly SchemaDifference[] {
  const columnsOf = (
    objects: ReadonlyMap<string, SchemaObject>,
    others: ReadonlyMap<string, SchemaObject>,
  ): ReadonlyMap<string, string> => {
    const both = [...objects].filter(([key, { kind }]) => kind === 'column' && others.has(key)).map(([, object]) => object);
    const grouped = [...Map.groupBy(both, ({ of }) => of ?? '')];
    return new Map(grouped.map(([table, columns]) => [table, columns.map(({ name }) => name.slice(table.length + 1)).join(', ')]));
  };
  const [fresh, ladder] = [columnsOf(left, right), columnsOf(right, left)];
  return [...fresh].flatMap(([table, order]) => {
    const other = ladder.get(table) ?? null;
    return other === order
      ? []
      : [{ kind: 'table', name: table, side: 'differs' as const, facts: [{ name: 'order of columns', fresh: order, ladder: other }] }];
  });
}

function rowsThatDiffer(fresh: SchemaDump, ladder: SchemaDump): SchemaComparison['rows'] {
  return Object.entries(fresh.rows).flatMap(([table, one]) => {
    const other = ladder.rows[table];
    if (other === undefined || one.digest === other.digest) return [];
    return [{ table, fresh: one.rows, ladder: other.rows, kind: one.rows === other.rows ? ('values' as const) : ('counts' as const) }];
  });
}

function sorted(differences: readonly SchemaDifference[]): readonly SchemaDifference[] {
  return differences.toSorted((a, b) => (a.name === b.name ? (a.kind < b.kind ? -1 : 1) : a.name < b.name ? -1 : 1));
}
