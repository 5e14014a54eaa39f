// What speaks against upgrading a PostgreSQL database: all that would keep it from being backed up or put back, found before anything is begun.
// Cheap, because it runs again after the steps: one connection, some looks into the catalogs, and one pg_dump of nothing.
import type { Client } from 'pg';
import { failure, failuresOf, messageOf, type Failure } from '../../model/failure.ts';
import type { Finding, FindingLevel } from '../../model/plan.ts';
import { connectPostgres, serverOf, type PostgresTarget } from './connect.ts';
import { serverVersion } from './dump.ts';
import { libpqEnvironment } from './libpq.ts';
import { connectBeside } from './maintenance.ts';
import { detectPooler } from './pooler.ts';
import { complaintOf, findTools, runTool } from './tools.ts';

const oldestServer = 13;

/** Never throws for what is wrong with server, database, role or programs: each problem is a finding, all of them at once. */
export async function checkPostgres(name: string, target: PostgresTarget): Promise<readonly Finding[]> {
  let client: Client;
  try {
    client = await connectPostgres(target, { name, application: 'rungs check' });
  } catch (error) {
    return failuresOf(error).map(blocking);
  }
  try {
    const server = await serverVersion(client);
    if (server.major < oldestServer) return [blocking(failure('POSTGRES_VERSION_UNSUPPORTED', { name, version: server.version }))];
    const quick = { ...target, attempts: 1 };
    if (await detectPooler(client, () => connectPostgres(quick, { name, application: 'rungs check' })))
      return [blocking(failure('POSTGRES_POOLER', { name, server: serverOf(target.url) }))];
    // As a digest reads them: names with their schemas.
    await client.query("SET search_path = ''");
    const who = await roleOf(client);
    return [
      ...(await toolProblems(name, quick, server)),
      ...(await writeProblems(client, name)),
      ...(await rightsProblems(client, name, who)),
      ...(who.isSuperuser ? [] : await superuserProblems(client, name, who.role)),
      ...(await maintenanceProblems(name, quick)),
      ...(await contentProblems(client, name)),
    ];
  } catch (error) {
    // The connection may be cut in the middle of it.
    return [blocking(failure('POSTGRES_UNREACHABLE', { name, server: serverOf(target.url), attempts: 1, error: messageOf(error) }))];
  } finally {
    await client.end().catch(() => undefined);
  }
}

interface Role {
  readonly role: string;
  readonly isSuperuser: boolean;
  readonly mayCreate: boolean;
}

async function roleOf(client: Client): Promise<Role> {
  const { rows } = await client.query<Role>(
    'SELECT rolname::text AS role, rolsuper AS "isSuperuser", rolsuper OR rolcreatedb AS "mayCreate" FROM pg_roles WHERE rolname = current_user',
  );
  return rows[0] ?? { role: '', isSuperuser: false, mayCreate: false };
}

async function toolProblems(
  name: string,
  target: PostgresTarget,
  server: { readonly major: number; readonly version: string },
): Promise<readonly Finding[]> {
  try {
    const tools = await findTools(name, server);
    // Logs in and reads the catalogs as a dump does, and dumps nothing.
    const done = await runTool(tools.dump, ['--schema-only', '--no-password', '--exclude-schema=*', '-f', '/dev/null'], {
      env: await libpqEnvironment(target),
    });
    return done.code === 0 ? [] : [blocking(failure('POSTGRES_DUMP_FAILED', { name, error: complaintOf(done, 'pg_dump') }))];
  } catch (error) {
    return failuresOf(error).map(blocking);
  }
}

async function writeProblems(client: Client, name: string): Promise<readonly Finding[]> {
  const { rows } = await client.query<{ recovering: boolean; readonly: string }>(
    "SELECT pg_is_in_recovery() AS recovering, current_setting('transaction_read_only') AS readonly",
  );
  const why =
    rows[0]?.recovering === true ? 'the server is a standby' : rows[0]?.readonly === 'on' ? 'default_transaction_read_only is on' : null;
  return why === null ? [] : [blocking(failure('POSTGRES_READ_ONLY', { name, why }))];
}

const ours = `n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'rungs')`;
const notOfExtension = `NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')`;

async function rightsProblems(client: Client, name: string, { role, isSuperuser, mayCreate }: Role): Promise<readonly Finding[]> {
  if (isSuperuser) return [];
  const unreadable = await column(
    client,
    `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE relkind IN ('r', 'p', 'm', 'S') AND ${ours} AND ${notOfExtension}
       AND (NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT') OR (relkind IN ('r', 'p') AND row_security_active(c.oid))) ORDER BY 1`,
  );
  // Membership is what ALTER … OWNER, ending sessions and renaming ask for.
  const owners = await column(
    client,
    `SELECT DISTINCT pg_get_userbyid(owner)::text FROM (
       SELECT datdba AS owner FROM pg_database WHERE datname = current_database()
       UNION ALL SELECT relowner FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE ${ours} AND ${notOfExtension}
       UNION ALL SELECT nspowner FROM pg_namespace n WHERE ${ours} AND nspname <> 'public'
       UNION ALL SELECT proowner FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE ${ours}
         AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
     ) owned WHERE NOT pg_has_role(owner, 'MEMBER') ORDER BY 1`,
  );
  return [
    ...(mayCreate ? [] : [blocking(failure('POSTGRES_NO_CREATEDB', { name, role }))]),
    ...(owners.length === 0 ? [] : [blocking(failure('POSTGRES_NOT_OWNER', { name, role, owners }))]),
    ...(unreadable.length === 0 ? [] : [blocking(failure('POSTGRES_UNREADABLE', { name, role, objects: unreadable }))]),
  ];
}

async function superuserProblems(client: Client, name: string, role: string): Promise<readonly Finding[]> {
  const what = await column(
    client,
    `SELECT 'the extension ' || extname FROM pg_extension JOIN pg_available_extension_versions v ON v.name = extname AND v.version = extversion
       WHERE v.superuser AND NOT v.trusted
     UNION ALL SELECT 'the event trigger ' || evtname FROM pg_event_trigger
     UNION ALL SELECT 'the publication ' || pubname || ' (FOR ALL TABLES)' FROM pg_publication WHERE puballtables ORDER BY 1`,
  );
  return what.length === 0 ? [] : [blocking(failure('POSTGRES_NEEDS_SUPERUSER', { name, role, what }))];
}

async function maintenanceProblems(name: string, target: PostgresTarget): Promise<readonly Finding[]> {
  try {
    await (await connectBeside(target, { name })).end();
    return [];
  } catch (error) {
    return failuresOf(error).map(blocking);
  }
}

async function contentProblems(client: Client, name: string): Promise<readonly Finding[]> {
  const replicated = await column(
    client,
    `SELECT 'the slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
     UNION ALL SELECT 'the subscription ' || subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database() ORDER BY 1`,
  );
  const outdated = await column(
    client,
    `SELECT format('%s %s (the server has %s)', extname, extversion, default_version) FROM pg_extension JOIN pg_available_extensions ON name = extname
     WHERE default_version <> extversion ORDER BY 1`,
  );
  const invalid = await column(
    client,
    `SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indrelid JOIN pg_namespace n ON n.oid = relnamespace
     WHERE NOT indisvalid AND relkind <> 'p' AND ${ours} ORDER BY 1`,
  );
  return [
    ...(replicated.length === 0 ? [] : [blocking(failure('POSTGRES_REPLICATED', { name, what: replicated }))]),
    ...(outdated.length === 0 ? [] : [blocking(failure('POSTGRES_EXTENSION_OUTDATED', { name, extensions: outdated }))]),
    ...(invalid.length === 0 ? [] : [finding('warn', failure('POSTGRES_INVALID_INDEXES', { name, indexes: invalid }))]),
  ];
}

async function column(client: Client, sql: string): Promise<readonly string[]> {
  const { rows } = await client.query<[string]>({ text: sql, rowMode: 'array' });
  return rows.map(([value]) => value);
}

function blocking(problem: Failure): Finding {
  return finding('block', problem);
}

function finding(level: FindingLevel, { code, message, hint }: Failure): Finding {
  return { level, code, message, hint };
}
