// A database beside the live one, made like it: owner, encoding, locale, tablespace, settings, rights and comment. Only its contents are a dump's.
import { hash as hashOnce } from 'node:crypto';
import type { Client } from 'pg';

/** Where a restore keeps what is to come and what was, recognisable for people and for a run that takes it up again. */
export interface Names {
  readonly live: string;
  readonly staged: string;
  readonly old: string;
}

const longestName = 63;

export function namesBeside(live: string, id: string): Names {
  const beside = (suffix: string): string => {
    const room = longestName - Buffer.byteLength(suffix);
    if (Buffer.byteLength(live) <= room) return live + suffix;
    // Cut to what fits, and told apart from others that begin in the same way.
    const mark = `~${hashOnce('sha256', live).slice(0, 6)}`;
    let kept = live;
    while (Buffer.byteLength(kept + mark) > room) kept = Array.from(kept).slice(0, -1).join('');
    return kept + mark + suffix;
  };
  return { live, staged: beside(`_rungs_${id}`), old: beside(`_rungs_old_${id}`) };
}

interface Properties {
  readonly owner: string;
  readonly encoding: string;
  /** `null` for that of every new database, which needs no right. */
  readonly tablespace: string | null;
  readonly comment: string | null;
  readonly row: Readonly<Record<string, unknown>>;
  readonly grants: readonly { readonly grantee: string | null; readonly privilege: string; readonly grantable: boolean }[] | null;
  readonly settings: readonly { readonly role: string | null; readonly config: readonly string[] }[];
}

/** Makes `name` like `model`; plain where `model` is not there. What had the name before is dropped: it was never live. */
export async function createLike(beside: Client, name: string, model: string): Promise<void> {
  await dropDatabase(beside, name);
  const { rows } = await beside.query<Properties>(propertiesQuery, [model]);
  const [like] = rows;
  if (like === undefined) return void (await beside.query(`CREATE DATABASE ${quoted(name)} TEMPLATE template0`));
  const { row } = like;
  const locale = [
    `LC_COLLATE ${literal(row['datcollate'])}`,
    `LC_CTYPE ${literal(row['datctype'])}`,
    ...(row['datlocprovider'] === 'i' ? ['LOCALE_PROVIDER icu', `ICU_LOCALE ${literal(row['datlocale'] ?? row['daticulocale'])}`] : []),
    ...(row['datlocprovider'] === 'b' ? ['LOCALE_PROVIDER builtin', `BUILTIN_LOCALE ${literal(row['datlocale'])}`] : []),
    ...(row['daticurules'] === null || row['daticurules'] === undefined ? [] : [`ICU_RULES ${literal(row['daticurules'])}`]),
  ];
  await beside.query(
    `CREATE DATABASE ${quoted(name)} OWNER ${quoted(like.owner)} TEMPLATE template0 ENCODING ${literal(like.encoding)} ${locale.join(' ')}
     ${like.tablespace === null ? '' : `TABLESPACE ${quoted(like.tablespace)}`} CONNECTION LIMIT ${Number(row['datconnlimit'])}`,
  );
  if (like.grants !== null) {
    await beside.query(`REVOKE ALL ON DATABASE ${quoted(name)} FROM PUBLIC, ${quoted(like.owner)}`);
    for (const { grantee, privilege, grantable } of like.grants)
      await beside.query(
        `GRANT ${privilege} ON DATABASE ${quoted(name)} TO ${grantee === null ? 'PUBLIC' : quoted(grantee)}${grantable ? ' WITH GRANT OPTION' : ''}`,
      );
  }
  for (const { role, config } of like.settings) {
    for (const setting of config) {
      const [variable, value] = [setting.slice(0, setting.indexOf('=')), setting.slice(setting.indexOf('=') + 1)];
      const whose = role === null ? `DATABASE ${quoted(name)}` : `ROLE ${quoted(role)} IN DATABASE ${quoted(name)}`;
      await beside.query(
        `ALTER ${whose} SET ${variable.split('.').map(quoted).join('.')} TO ${lists.has(variable) ? value : literal(value)}`,
      );
    }
  }
  if (like.comment !== null) await beside.query(`COMMENT ON DATABASE ${quoted(name)} IS ${literal(like.comment)}`);
}

/** Kept as a list whose items are quoted already. */
const lists = new Set([
  'search_path',
  'temp_tablespaces',
  'local_preload_libraries',
  'session_preload_libraries',
  'shared_preload_libraries',
  'unix_socket_directories',
]);

const propertiesQuery = `
  SELECT pg_get_userbyid(datdba)::text AS owner, pg_encoding_to_char(encoding)::text AS encoding,
    (SELECT spcname::text FROM pg_tablespace WHERE pg_tablespace.oid = dattablespace AND dattablespace <> (SELECT dattablespace FROM pg_database WHERE datname = 'template0')) AS tablespace,
    shobj_description(d.oid, 'pg_database') AS comment, to_jsonb(d) AS row,
    CASE WHEN datacl IS NOT NULL THEN coalesce((
      SELECT jsonb_agg(jsonb_build_object('grantee', CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee)::text END, 'privilege', privilege_type, 'grantable', is_grantable))
      FROM aclexplode(datacl)), '[]') END AS grants,
    coalesce((SELECT jsonb_agg(jsonb_build_object('role', CASE setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(setrole)::text END, 'config', to_jsonb(setconfig)))
      FROM pg_db_role_setting WHERE setdatabase = d.oid), '[]') AS settings
  FROM pg_database d WHERE datname = $1`;

/** Whoever is in it is put out: a killed restore leaves a pg_restore behind that still works. */
export async function dropDatabase(beside: Client, name: string): Promise<void> {
  await beside.query(`DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`);
}

export async function letIn(beside: Client, name: string, isAllowed: boolean): Promise<void> {
  await beside.query(`ALTER DATABASE ${quoted(name)} WITH ALLOW_CONNECTIONS ${isAllowed}`);
}

export async function rename(beside: Client, from: string, to: string): Promise<void> {
  await beside.query(`ALTER DATABASE ${quoted(from)} RENAME TO ${quoted(to)}`);
}

export async function existing(beside: Client, names: Names): Promise<ReadonlySet<string>> {
  const { rows } = await beside.query<{ name: string }>('SELECT datname::text AS name FROM pg_database WHERE datname = ANY ($1::text[])', [
    [names.live, names.staged, names.old],
  ]);
  return new Set(rows.map(({ name }) => name));
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(value: unknown): string {
  const text = String(value);
  // Right whatever standard_conforming_strings says.
  return text.includes('\\') ? ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'` : `'${text.replaceAll("'", "''")}'`;
}
