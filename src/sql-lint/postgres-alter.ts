// ALTER TABLE of PostgreSQL on a table that was there before: which of its parts lock for long, rewrite, or lose.
import type { AlterTableCmd, AlterTableStmt, ColumnDef, Constraint } from 'libpg-query';
import { functionsIn, nameOf, typeOf } from './postgres-nodes.ts';
import type { Before, Statement } from './postgres.ts';
import type { LintContext, Remark } from './rules.ts';

interface Part extends Statement {
  readonly table: string;
  /** Where the part begins. */
  readonly offset: number;
  readonly before: Before;
  readonly context: LintContext;
}

export function remarksOnAlterTable(alter: AlterTableStmt, statement: Statement, before: Before, context: LintContext): readonly Remark[] {
  const table = nameOf(alter.relation);
  return (alter.cmds ?? []).flatMap((node, index) => {
    if (!('AlterTableCmd' in node)) return [];
    // Only a part that has something to tell is worth looking for.
    const part: Part = {
      ...statement,
      table,
      before,
      context,
      get offset() {
        return alter.relation === undefined ? statement.start : statement.partAt(index, alter.relation);
      },
    };
    return remarksOnPart(node.AlterTableCmd, part);
  });
}

function remarksOnPart(command: AlterTableCmd, part: Part): readonly Remark[] {
  const { table, remark, before, context } = part;
  const { subtype, name = '', def } = command;
  const column = `${table}.${name}`;
  switch (subtype) {
    case 'AT_AddColumn':
      return def !== undefined && 'ColumnDef' in def ? remarksOnNewColumn(def.ColumnDef, part) : [];
    case 'AT_AddConstraint':
      return def !== undefined && 'Constraint' in def ? remarksOnNewConstraint(def.Constraint, part) : [];
    case 'AT_ValidateConstraint': {
      before.validated.add(table);
      const isTogether = before.isInTransaction && before.notValid.has(`${table} ${name}`);
      return isTogether ? [remark('SQL_VALIDATED_TOGETHER', `VALIDATE CONSTRAINT ${name} of ${table}`, part.offset)] : [];
    }
    case 'AT_SetNotNull':
      // Where a CHECK says so already, PostgreSQL believes it and reads nothing.
      return before.validated.has(table) ? [] : [remark('SQL_SET_NOT_NULL', `SET NOT NULL of ${column}`, part.offset)];
    case 'AT_AlterColumnType': {
      const type = def !== undefined && 'ColumnDef' in def ? def.ColumnDef : {};
      const target = typeOf(type.typeName);
      // To these nothing but other kinds of text comes without a USING or a cast: the rows stay as they are.
      const isOpenText =
        (target === 'text' || (target === 'varchar' && type.typeName?.typmods === undefined)) && type.raw_default === undefined;
      return isOpenText ? [] : [remark('SQL_TYPE_CHANGE', `the change of ${column} to ${target}`, part.offset)];
    }
    case 'AT_DropColumn':
      return context.hasBackward ? [] : [remark('SQL_DROP_WITHOUT_BACKWARD', `DROP COLUMN ${column}`, part.offset)];
    case 'AT_SetLogged':
    case 'AT_SetUnLogged':
    case 'AT_SetAccessMethod':
    case 'AT_SetTableSpace':
    case 'AT_ClusterOn':
      return subtype === 'AT_ClusterOn' ? [] : [remark('SQL_LOCKS_TABLE', `the rewrite of ${table} (${rewrites[subtype]})`, part.offset)];
    case 'AT_DetachPartition': {
      const isConcurrent = def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true;
      return isConcurrent && before.isInTransaction
        ? [remark('SQL_NOT_IN_TRANSACTION', `DETACH PARTITION CONCURRENTLY of ${table}`, part.offset)]
        : [];
    }
    default:
      return [];
  }
}

const rewrites = {
  AT_SetLogged: 'SET LOGGED',
  AT_SetUnLogged: 'SET UNLOGGED',
  AT_SetAccessMethod: 'SET ACCESS METHOD',
  AT_SetTableSpace: 'SET TABLESPACE',
} as const;

const serialTypes: ReadonlySet<string> = new Set(['serial', 'serial2', 'serial4', 'serial8', 'smallserial', 'bigserial']);

function remarksOnNewColumn({ colname = '', typeName, constraints = [] }: ColumnDef, part: Part): readonly Remark[] {
  const what = `ADD COLUMN ${part.table}.${colname}`;
  const found = constraints.flatMap((node) => ('Constraint' in node ? [node.Constraint] : []));
  const given = (type: Constraint['contype']): Constraint | undefined => found.find(({ contype }) => contype === type);
  const isSerial = serialTypes.has(typeOf(typeName));
  const value = given('CONSTR_DEFAULT')?.raw_expr;
  const hasDefault = value !== undefined && !('A_Const' in value && value.A_Const.isnull === true);
  const perRow =
    isSerial ||
    given('CONSTR_IDENTITY') !== undefined ||
    given('CONSTR_GENERATED')?.generated_kind === 's' ||
    (hasDefault && mayBeVolatile(value));
  const isFilled = isSerial || hasDefault || given('CONSTR_IDENTITY') !== undefined || given('CONSTR_GENERATED') !== undefined;
  const remarks: Remark[] = [];
  const at = (constraint: Constraint | undefined): number =>
    constraint?.location === undefined ? part.offset : part.at(constraint.location);
  const notNull = given('CONSTR_NOTNULL') ?? given('CONSTR_PRIMARY');
  if (notNull !== undefined && !isFilled) remarks.push(part.remark('SQL_ADD_NOT_NULL', what, at(notNull)));
  if (perRow)
    remarks.push(
      part.remark(
        'SQL_DEFAULT_REWRITES',
        what,
        isSerial ? part.offset : at(given('CONSTR_IDENTITY') ?? given('CONSTR_GENERATED') ?? given('CONSTR_DEFAULT')),
      ),
    );
  const unique = given('CONSTR_UNIQUE') ?? given('CONSTR_PRIMARY');
  if (unique !== undefined) remarks.push(part.remark('SQL_UNIQUE_BUILDS_INDEX', what, at(unique)));
  // Of a column that is NULL everywhere PostgreSQL knows that its foreign key holds; a CHECK it tries on each row.
  const foreign = given('CONSTR_FOREIGN');
  const check = given('CONSTR_CHECK');
  const validated = isFilled && foreign?.is_enforced !== false ? (foreign ?? check) : check;
  if (validated !== undefined && validated.is_enforced !== false)
    remarks.push(part.remark('SQL_CONSTRAINT_VALIDATES', what, at(validated)));
  return remarks;
}

const kinds: Readonly<Record<string, string>> = {
  CONSTR_FOREIGN: 'FOREIGN KEY',
  CONSTR_CHECK: 'CHECK',
  CONSTR_NOTNULL: 'NOT NULL',
  CONSTR_UNIQUE: 'UNIQUE',
  CONSTR_PRIMARY: 'PRIMARY KEY',
  CONSTR_EXCLUSION: 'EXCLUDE',
};

function remarksOnNewConstraint(constraint: Constraint, { table, remark, offset, before }: Part): readonly Remark[] {
  const { contype, conname, skip_validation: isNotValid, is_enforced: isEnforced, indexname } = constraint;
  const kind = kinds[String(contype)];
  if (kind === undefined) return [];
  const what = `ADD ${conname === undefined ? '' : `CONSTRAINT ${conname} `}${kind} to ${table}`;
  if (kind === 'UNIQUE' || kind === 'PRIMARY KEY' || kind === 'EXCLUDE')
    return indexname === undefined ? [remark('SQL_UNIQUE_BUILDS_INDEX', what, offset)] : [];
  if (isNotValid === true) {
    if (conname !== undefined) before.notValid.add(`${table} ${conname}`);
    return [];
  }
  return isEnforced === false && kind !== 'NOT NULL' ? [] : [remark('SQL_CONSTRAINT_VALIDATES', what, offset)];
}

// Evaluated once for all rows. Any other function may be volatile, as those of users are unless they say otherwise.
const steady: ReadonlySet<string> = new Set(
  `now transaction_timestamp statement_timestamp timezone date_trunc date_part extract make_date make_interval make_timestamp make_timestamptz to_timestamp to_date
  age lower upper initcap md5 sha256 concat concat_ws format replace repeat left right substr substring btrim ltrim rtrim trim length char_length position
  abs ceil ceiling floor round trunc sqrt power mod greatest least to_json to_jsonb json_build_object jsonb_build_object json_build_array jsonb_build_array
  array_fill string_to_array array_append array_cat encode decode convert_to convert_from int4range int8range numrange tsrange tstzrange daterange
  current_setting current_database current_schema version inet_client_addr to_char to_number to_tsvector`.split(/\s+/),
);

function mayBeVolatile(expression: unknown): boolean {
  return [...functionsIn({ expression })].some((name) => !steady.has(name.toLowerCase()));
}
