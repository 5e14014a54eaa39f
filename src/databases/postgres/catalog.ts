// The schema of a database out of its catalogs, one line per object: what pg_dump carries, told without it. So a digest needs no second process, sees
// what an open transaction has done, and stays the same when pg_dump is upgraded. The schema `rungs`, marker tables and what extensions bring are left out.
export const mine = `
  ns AS (SELECT * FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'rungs')),
  member AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
  rel AS (
    SELECT c.*, format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN ns n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND c.relname <> '_rungs_marker'
      AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = c.oid)
      AND NOT EXISTS (
        SELECT FROM pg_depend d JOIN pg_class marker ON marker.oid = d.refobjid AND marker.relname = '_rungs_marker'
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      )
  )`;

/** Rights as they are in effect: none given is the same as the default ones given. */
export const rights = (acl: string, defaults = 'NULL'): string => `(
  SELECT string_agg(one, ',' ORDER BY one COLLATE "C") FROM (
    SELECT concat(CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, '=', a.privilege_type, CASE WHEN a.is_grantable THEN '*' END) AS one
    FROM aclexplode(coalesce(${acl}, ${defaults})) a) told)`;

export const notMember = (catalog: string, oid: string): string =>
  `NOT EXISTS (SELECT FROM member WHERE classid = '${catalog}'::regclass AND objid = ${oid})`;

const line = (...parts: readonly string[]): string => `jsonb_build_array(${parts.join(', ')})::text AS line`;

/** Each gives rows of one text. To be run with an empty search_path, so that every name is told with its schema. */
export const schemaQueries: readonly string[] = [
  // An empty schema "public" is always there after a restore.
  `WITH ${mine} SELECT ${line("'schema'", 'nspname', 'pg_get_userbyid(nspowner)', rights('nspacl', "acldefault('n', nspowner)"))} FROM ns WHERE ${notMember('pg_namespace', 'oid')}`,
  `WITH ${mine} SELECT ${line(
    "'relation'",
    'name',
    'relkind',
    'relpersistence',
    'pg_get_userbyid(relowner)',
    rights('relacl', `acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", relowner)`),
    '(SELECT array_agg(o ORDER BY o COLLATE "C") FROM unnest(reloptions) o)',
    "relispopulated OR relkind <> 'm'",
    'relreplident',
    'relrowsecurity',
    'relforcerowsecurity',
    '(SELECT amname FROM pg_am WHERE pg_am.oid = relam)',
    '(SELECT spcname FROM pg_tablespace WHERE pg_tablespace.oid = reltablespace)',
    'pg_get_expr(relpartbound, rel.oid)',
    "CASE relkind WHEN 'p' THEN pg_get_partkeydef(rel.oid) END",
    '(SELECT array_agg(inhparent::regclass::text ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = rel.oid)',
    'CASE WHEN reloftype <> 0 THEN reloftype::regtype::text END',
    "CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(rel.oid) END",
  )} FROM rel`,
  `WITH ${mine} SELECT ${line(
    "'column'",
    'name',
    'row_number() OVER (PARTITION BY rel.oid ORDER BY attnum)',
    'attname',
    'format_type(atttypid, atttypmod)',
    'CASE WHEN attcollation <> 0 THEN attcollation::regcollation::text END',
    'attnotnull',
    'pg_get_expr(adbin, adrelid)',
    'attidentity',
    'attgenerated',
    'attstorage',
    'nullif(attstattarget, -1)',
    'attoptions',
    rights('attacl'),
  )} FROM rel JOIN pg_attribute ON attrelid = rel.oid AND attnum > 0 AND NOT attisdropped
     LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE relkind <> 'S'`,
  `WITH ${mine} SELECT ${line("'constraint'", 'name', 'conname', 'pg_get_constraintdef(con.oid)', 'convalidated')}
     FROM rel JOIN pg_constraint con ON conrelid = rel.oid WHERE NOT (contype = 'f' AND conparentid <> 0) AND contype <> 't'`,
  // As pg_dump: what did not become valid is told apart.
  `WITH ${mine} SELECT ${line("'index'", 'pg_get_indexdef(indexrelid)', 'indisclustered', 'indisreplident', 'indisunique', '(SELECT spcname FROM pg_tablespace t JOIN pg_class i ON i.reltablespace = t.oid WHERE i.oid = indexrelid)')}
     FROM rel JOIN pg_index ON indrelid = rel.oid WHERE indisvalid OR relkind = 'p'`,
  `WITH ${mine} SELECT ${line("'trigger'", 'name', 'pg_get_triggerdef(t.oid)', 'tgenabled')} FROM rel JOIN pg_trigger t ON tgrelid = rel.oid WHERE NOT tgisinternal AND tgparentid = 0`,
  `WITH ${mine} SELECT ${line("'rule'", 'name', 'pg_get_ruledef(r.oid)', 'ev_enabled')} FROM rel JOIN pg_rewrite r ON ev_class = rel.oid WHERE rulename <> '_RETURN'`,
  `WITH ${mine} SELECT ${line("'policy'", 'name', 'polname', 'polcmd', 'polpermissive', "(SELECT array_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END ORDER BY r) FROM unnest(polroles) r)", 'pg_get_expr(polqual, polrelid)', 'pg_get_expr(polwithcheck, polrelid)')} FROM rel JOIN pg_policy ON polrelid = rel.oid`,
  `WITH ${mine} SELECT ${line("'sequence'", 'name', 'format_type(seqtypid, NULL)', 'seqstart', 'seqincrement', 'seqmax', 'seqmin', 'seqcache', 'seqcycle', "(SELECT array_agg(format('%s.%I %s', refobjid::regclass, attname, deptype)) FROM pg_depend d JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid WHERE d.classid = 'pg_class'::regclass AND d.objid = rel.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))")}
     FROM rel JOIN pg_sequence ON seqrelid = rel.oid`,
  `WITH ${mine} SELECT ${line("'function'", 'p.oid::regprocedure::text', 'prokind', "CASE prokind WHEN 'a' THEN (SELECT (to_jsonb(a) - 'aggfnoid' - 'aggtranstype' - 'aggmtranstype' - 'aggsortop')::text || format_type(aggtranstype, NULL) FROM pg_aggregate a WHERE aggfnoid = p.oid) ELSE pg_get_functiondef(p.oid) END", 'pg_get_userbyid(proowner)', rights('proacl', "acldefault('f', proowner)"))}
     FROM pg_proc p JOIN ns ON ns.oid = pronamespace WHERE ${notMember('pg_proc', 'p.oid')}`,
  `WITH ${mine} SELECT ${line("'type'", 't.oid::regtype::text', 'typtype', 'pg_get_userbyid(typowner)', rights('typacl', "acldefault('T', typowner)"), 'typnotnull', 'typdefault', 'format_type(nullif(typbasetype, 0), typtypmod)', 'CASE WHEN typcollation <> 0 THEN typcollation::regcollation::text END', '(SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)', '(SELECT array_agg(concat(conname, pg_get_constraintdef(con.oid), convalidated) ORDER BY conname) FROM pg_constraint con WHERE contypid = t.oid)', "(SELECT concat_ws(' ', rngsubtype::regtype, rngcollation::regcollation, rngcanonical, rngsubdiff) FROM pg_range WHERE rngtypid = t.oid)", 'typinput::text', 'typoutput::text', 'typlen')}
     FROM pg_type t JOIN ns ON ns.oid = typnamespace
     WHERE typtype IN ('e', 'd', 'r', 'b') AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid) AND ${notMember('pg_type', 't.oid')}`,
  `SELECT ${line("'extension'", 'extname', 'extversion', 'extnamespace::regnamespace::text')} FROM pg_extension`,
  `SELECT ${line("'default rights'", 'pg_get_userbyid(defaclrole)', 'defaclnamespace::regnamespace::text', 'defaclobjtype', rights('defaclacl'))} FROM pg_default_acl WHERE defaclnamespace = 0 OR defaclnamespace IS DISTINCT FROM to_regnamespace('rungs')`,
  `WITH ${mine} SELECT ${line("'comment'", 'objid.identity', 'objid.type', 'description')} FROM pg_description d, LATERAL pg_identify_object(classoid, objoid, objsubid) objid
     WHERE (objoid >= 16384 OR (classoid = 'pg_namespace'::regclass AND objoid = to_regnamespace('public')))
       AND coalesce(objid.schema, '') <> 'rungs' AND NOT (objid.type = 'schema' AND objid.name = 'rungs') AND objid.identity !~ '_rungs_marker'
       AND NOT EXISTS (SELECT FROM member WHERE classid = classoid AND objid = objoid)`,
  `SELECT ${line("'event trigger'", 'evtname', 'evtevent', 'evtfoid::regproc::text', 'evtenabled', 'evttags', 'pg_get_userbyid(evtowner)')} FROM pg_event_trigger`,
  `SELECT ${line("'publication'", 'pubname', 'puballtables', 'pubinsert', 'pubupdate', 'pubdelete', 'pubtruncate', 'pubviaroot', '(SELECT array_agg(prrelid::regclass::text ORDER BY prrelid::regclass::text) FROM pg_publication_rel WHERE prpubid = p.oid)')} FROM pg_publication p`,
  `WITH ${mine} SELECT ${line("'statistics'", 's.stxname', 'pg_get_statisticsobjdef(s.oid)')} FROM pg_statistic_ext s JOIN ns ON ns.oid = stxnamespace`,
  `WITH ${mine} SELECT ${line("'foreign table'", 'name', 'srvname', 'ftoptions')} FROM rel JOIN pg_foreign_table ON ftrelid = rel.oid JOIN pg_foreign_server s ON s.oid = ftserver`,
];

/** Told by their own columns: everything in them that does not depend on when the object was made. */
export const otherCatalogs = [
  'pg_cast',
  'pg_collation',
  'pg_conversion',
  'pg_foreign_data_wrapper',
  'pg_foreign_server',
  'pg_language',
  'pg_opclass',
  'pg_operator',
  'pg_opfamily',
  'pg_transform',
  'pg_ts_config',
  'pg_ts_dict',
  'pg_ts_parser',
  'pg_ts_template',
] as const;

/** Row by row: tables that hold rows themselves. What a view or a materialised one shows follows from them; generated columns, too. */
export const tablesQuery = `WITH ${mine}
  SELECT format(CASE relnamespace::regnamespace::text WHEN 'public' THEN '%2$I' ELSE '%1$I.%2$I' END, (SELECT nspname FROM ns WHERE ns.oid = relnamespace), relname) AS shown,
    rel.name AS place,
    (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = rel.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS columns
  FROM rel WHERE relkind = 'r' ORDER BY rel.name COLLATE "C"`;

export const sequencesQuery = `WITH ${mine} SELECT rel.name AS place FROM rel WHERE relkind = 'S' ORDER BY rel.name COLLATE "C"`;

export const invalidIndexesQuery = `WITH ${mine} SELECT indexrelid::regclass::text AS name FROM rel JOIN pg_index ON indrelid = rel.oid WHERE NOT indisvalid AND relkind <> 'p' ORDER BY 1`;
