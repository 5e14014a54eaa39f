// One query for each kind of object: its kind, its name, the table that it belongs to, and its facts by name. To be run with an empty search_path, so
// that every name is told with its schema. Who owns what is left out: on scratch databases that is always the same role.
import { mine, notMember, rights } from './catalog.ts';

type Facts = Readonly<Record<string, string>>;

const object = (facts: Facts): string =>
  `jsonb_build_object(${Object.entries(facts)
    .map(([name, sql]) => `'${name}', ${sql}`)
    .join(', ')})`;

interface Told {
  /** SQL of the kind, quoted where it is a word. */
  readonly kind: string;
  readonly name: string;
  readonly of?: string;
  readonly facts: Facts;
  readonly minor?: Facts;
}

const select = ({ kind, name, of = 'NULL', facts, minor }: Told): string =>
  `WITH ${mine} SELECT ${kind} AS kind, ${name} AS name, ${of} AS of, ${object(facts)} AS facts, ${minor === undefined ? 'NULL::jsonb' : object(minor)} AS minor`;

const comment = (catalog: string, oid: string): string => `obj_description(${oid}, '${catalog}')`;

/** Rights that the owner does not have anyway. */
const granted = (acl: string): string => `CASE WHEN ${acl} IS NOT NULL THEN ${rights(acl)} END`;

const relationKinds = `CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialised view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'composite type' ELSE 'table' END`;

export const objectQueries: readonly string[] = [
  `${select({ kind: "'schema'", name: 'nspname::text', facts: { rights: granted('nspacl'), comment: comment('pg_namespace', 'ns.oid') } })}
   FROM ns WHERE nspname <> 'public' AND ${notMember('pg_namespace', 'oid')}`,
  `${select({
    kind: relationKinds,
    name: 'name',
    facts: {
      definition: "CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(rel.oid) END",
      unlogged: "relpersistence = 'u'",
      'partition by': "CASE relkind WHEN 'p' THEN pg_get_partkeydef(rel.oid) END",
      'partition for': 'pg_get_expr(relpartbound, rel.oid)',
      inherits: '(SELECT array_agg(inhparent::regclass::text ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = rel.oid)',
      'of type': 'CASE WHEN reloftype <> 0 THEN reloftype::regtype::text END',
      options: '(SELECT array_agg(o ORDER BY o COLLATE "C") FROM unnest(reloptions) o)',
      'row security': "CASE WHEN relforcerowsecurity THEN 'forced' WHEN relrowsecurity THEN 'enabled' END",
      'replica identity':
        "CASE WHEN relreplident NOT IN ('d', 'n') OR (relkind IN ('r', 'p') AND relreplident = 'n') THEN relreplident::text END",
      'access method': "(SELECT amname::text FROM pg_am WHERE pg_am.oid = relam AND amname <> 'heap')",
      rights: granted('relacl'),
      comment: comment('pg_class', 'rel.oid'),
    },
  })} FROM rel WHERE relkind <> 'S'`,
  `${select({
    kind: "'column'",
    name: "name || '.' || quote_ident(attname)",
    of: 'name',
    facts: {
      type: 'format_type(atttypid, atttypmod)',
      'not null': 'attnotnull',
      default: "CASE WHEN attgenerated = '' THEN pg_get_expr(adbin, adrelid) END",
      generated: "CASE WHEN attgenerated <> '' THEN pg_get_expr(adbin, adrelid) END",
      identity: "CASE attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END",
      collation:
        'CASE WHEN attcollation NOT IN (0, (SELECT typcollation FROM pg_type WHERE pg_type.oid = atttypid)) THEN attcollation::regcollation::text END',
      storage: 'CASE WHEN attstorage <> (SELECT typstorage FROM pg_type WHERE pg_type.oid = atttypid) THEN attstorage::text END',
      rights: granted('attacl'),
      comment: 'col_description(rel.oid, attnum)',
    },
  })} FROM rel JOIN pg_attribute ON attrelid = rel.oid AND attnum > 0 AND NOT attisdropped
     LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE relkind NOT IN ('S', 'v', 'm') ORDER BY rel.name, attnum`,
  `${select({
    kind: "'constraint'",
    name: "name || ' ' || pg_get_constraintdef(con.oid)",
    of: 'name',
    facts: {
      'not valid': "NOT convalidated AND pg_get_constraintdef(con.oid) NOT LIKE '%NOT VALID'",
      comment: comment('pg_constraint', 'con.oid'),
    },
    minor: { name: 'conname::text' },
  })} FROM rel JOIN pg_constraint con ON conrelid = rel.oid WHERE contype NOT IN ('t', 'n') AND conparentid = 0 ORDER BY rel.name, conname`,
  `${select({
    kind: "'index'",
    name: "format('%I.%I', (SELECT nspname FROM ns WHERE ns.oid = i.relnamespace), i.relname)",
    of: 'name',
    facts: {
      definition: "regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX .*? ON (ONLY )?', '')",
      unique: 'indisunique',
      invalid: "NOT indisvalid AND rel.relkind <> 'p'",
      clustered: 'indisclustered',
      comment: comment('pg_class', 'i.oid'),
    },
  })} FROM rel JOIN pg_index ON indrelid = rel.oid JOIN pg_class i ON i.oid = indexrelid
     WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x')) AND NOT i.relispartition`,
  `${select({
    kind: "'trigger'",
    name: "name || '.' || quote_ident(tgname)",
    of: 'name',
    facts: {
      definition: 'pg_get_triggerdef(t.oid)',
      enabled: "CASE tgenabled WHEN 'D' THEN 'no' WHEN 'A' THEN 'always' WHEN 'R' THEN 'on replicas' END",
    },
  })} FROM rel JOIN pg_trigger t ON tgrelid = rel.oid WHERE NOT tgisinternal AND tgparentid = 0`,
  `${select({ kind: "'rule'", name: "name || '.' || quote_ident(rulename)", of: 'name', facts: { definition: 'pg_get_ruledef(r.oid)' } })}
   FROM rel JOIN pg_rewrite r ON ev_class = rel.oid WHERE rulename <> '_RETURN'`,
  `${select({
    kind: "'policy'",
    name: "name || '.' || quote_ident(polname)",
    of: 'name',
    facts: {
      for: "CASE polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' ELSE 'all' END",
      restrictive: 'NOT polpermissive',
      to: "(SELECT array_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r)::text END ORDER BY r) FROM unnest(polroles) r)",
      using: 'pg_get_expr(polqual, polrelid)',
      check: 'pg_get_expr(polwithcheck, polrelid)',
    },
  })} FROM rel JOIN pg_policy ON polrelid = rel.oid`,
  `${select({
    kind: "'sequence'",
    name: 'name',
    facts: {
      type: 'format_type(seqtypid, NULL)',
      start: 'seqstart',
      increment: 'seqincrement',
      minimum: 'seqmin',
      maximum: 'seqmax',
      cache: 'seqcache',
      cycle: 'seqcycle',
      'owned by':
        "(SELECT string_agg(format('%s.%I', refobjid::regclass, attname), ', ') FROM pg_depend d JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid WHERE d.classid = 'pg_class'::regclass AND d.objid = rel.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))",
      rights: granted('relacl'),
    },
  })} FROM rel JOIN pg_sequence ON seqrelid = rel.oid`,
  `${select({
    kind: "CASE prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END",
    name: 'p.oid::regprocedure::text',
    facts: {
      definition: "CASE WHEN prokind <> 'a' THEN pg_get_functiondef(p.oid) END",
      aggregate:
        "CASE WHEN prokind = 'a' THEN (SELECT (to_jsonb(a) - 'aggfnoid' - 'aggtranstype' - 'aggmtranstype' - 'aggsortop')::text || format_type(aggtranstype, NULL) FROM pg_aggregate a WHERE aggfnoid = p.oid) END",
      rights: granted('proacl'),
      comment: comment('pg_proc', 'p.oid'),
    },
  })} FROM pg_proc p JOIN ns ON ns.oid = pronamespace WHERE ${notMember('pg_proc', 'p.oid')}`,
  `${select({
    kind: "CASE typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'type' END",
    name: 't.oid::regtype::text',
    facts: {
      values: '(SELECT array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)',
      base: 'format_type(nullif(typbasetype, 0), typtypmod)',
      'not null': 'typnotnull',
      default: 'typdefault',
      constraints: '(SELECT array_agg(pg_get_constraintdef(con.oid) ORDER BY conname) FROM pg_constraint con WHERE contypid = t.oid)',
      subtype: "(SELECT concat_ws(' ', rngsubtype::regtype, rngcollation::regcollation) FROM pg_range WHERE rngtypid = t.oid)",
      rights: granted('typacl'),
      comment: comment('pg_type', 't.oid'),
    },
  })} FROM pg_type t JOIN ns ON ns.oid = typnamespace
     WHERE typtype IN ('e', 'd', 'r', 'b') AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid) AND ${notMember('pg_type', 't.oid')}`,
  `${select({ kind: "'extension'", name: 'extname::text', facts: { version: 'extversion', schema: 'extnamespace::regnamespace::text' } })} FROM pg_extension`,
  `${select({
    kind: "'default rights'",
    name: "format('%s in %s', defaclobjtype, coalesce(nullif(defaclnamespace, 0)::regnamespace::text, 'all schemas'))",
    facts: { rights: rights('defaclacl') },
  })} FROM pg_default_acl`,
  `${select({ kind: "'event trigger'", name: 'evtname::text', facts: { event: 'evtevent::text', function: 'evtfoid::regproc::text', enabled: 'evtenabled::text', tags: 'evttags' } })} FROM pg_event_trigger`,
  `${select({
    kind: "'publication'",
    name: 'pubname::text',
    facts: {
      'all tables': 'puballtables',
      tables: '(SELECT array_agg(prrelid::regclass::text ORDER BY prrelid::regclass::text) FROM pg_publication_rel WHERE prpubid = p.oid)',
    },
  })} FROM pg_publication p`,
  `${select({ kind: "'statistics'", name: 's.stxname::text', facts: { definition: 'pg_get_statisticsobjdef(s.oid)' } })} FROM pg_statistic_ext s JOIN ns ON ns.oid = stxnamespace`,
];
