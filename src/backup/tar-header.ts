// Tar headers in both directions: the `tar` package makes and reads the 512 bytes, this file the pax records, which need bytes and nanoseconds.
import { basename } from 'node:path';
import type { Header } from 'tar/header';
import { bytesOf, nameOf } from './names.ts';

export interface TarEntry {
  readonly path: string;
  readonly type: 'File' | 'Directory' | 'SymbolicLink' | 'Link';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes that follow the header. */
  readonly size: number;
  /** Nanoseconds since 1970. */
  readonly mtime: string;
  /** Of links, hard ones included. */
  readonly target: string;
  /** Of a file with holes, of which only a map and the pieces follow (GNU sparse format 1.0): its size with them. */
  readonly realSize?: number | undefined;
  /** Extended attributes in base64. */
  readonly xattrs?: Readonly<Record<string, string>> | undefined;
}

export interface TarHeaders {
  encode(entry: TarEntry): Buffer;
  /** One block: an entry, the records that belong to the next entry, or the end. Throws a TypeError for anything that a backup does not hold. */
  decode(
    block: Buffer,
    records: ReadonlyMap<string, Buffer>,
  ): TarEntry | { readonly type: 'Records'; readonly size: number } | { readonly type: 'End' };
}

const second = 1_000_000_000n;

/** Loads the header code of the `tar` package, and only that. */
export async function loadTarHeaders(): Promise<TarHeaders> {
  const { Header } = await import('tar/header');
  return { encode: (entry) => encode(Header, entry), decode: (block, records) => decode(Header, block, records) };
}

function encode(HeaderOf: typeof Header, entry: TarEntry): Buffer {
  const { path, type, mode, uid, gid, size, target, realSize, xattrs = {} } = entry;
  // GNU tar sets the mode of the folder that it extracts into from "./", which is what a root entry means.
  const name = type === 'Directory' ? (path === '' ? './' : `${path}/`) : path;
  const time = BigInt(entry.mtime);
  const seconds = time >= 0n ? time / second : (time - second + 1n) / second;
  const block = Buffer.alloc(512);
  const fields = { type, mode, uid, gid, size, mtime: new Date(Number(seconds) * 1000), uname: '', gname: '', devmaj: 0, devmin: 0 };
  const needsRecords =
    new HeaderOf({ ...fields, path: name, linkpath: target }).encode(block) || !name.isWellFormed() || !target.isWellFormed();
  // A name that was cut may end in "/", which readers take for a folder; these are only for readers that know no records.
  const short = `${(basename(path) || '.').replace(/[^!-~]/g, '_').slice(0, 80)}${type === 'Directory' ? '/' : ''}`;
  if (needsRecords || realSize !== undefined) {
    const shown = realSize === undefined ? short : `GNUSparseFile.0/${short}`;
    new HeaderOf({ ...fields, path: shown, linkpath: target.replace(/[^!-~]/g, '_').slice(0, 90) }).encode(block.fill(0));
  }
  const records = [
    ...(realSize === undefined
      ? []
      : [
          record('GNU.sparse.major', '1'),
          record('GNU.sparse.minor', '0'),
          record('GNU.sparse.name', bytesOf(name)),
          record('GNU.sparse.realsize', String(realSize)),
        ]),
    ...(needsRecords
      ? [
          ...(realSize === undefined ? [record('path', bytesOf(name))] : []),
          ...(target === '' ? [] : [record('linkpath', bytesOf(target))]),
          record('size', String(size)),
          record('uid', String(uid)),
          record('gid', String(gid)),
        ]
      : []),
    ...(needsRecords || time % second !== 0n ? [record('mtime', decimal(time))] : []),
    ...Object.entries(xattrs).map(([key, value]) => record(`${attribute}${key}`, Buffer.from(value, 'base64'))),
  ];
  if (records.length === 0) return block;
  const body = Buffer.concat(records);
  return Buffer.concat([recordsHeader(HeaderOf, body.length), body, Buffer.alloc(padding(body.length)), block]);
}

const attribute = 'SCHILY.xattr.';
const recordsHeaders = new Map<number, Buffer>();

/** They differ in their size alone, and there are few sizes. */
function recordsHeader(HeaderOf: typeof Header, size: number): Buffer {
  const known = recordsHeaders.get(size);
  if (known !== undefined) return known;
  const block = Buffer.alloc(512);
  const fields = { path: 'PaxHeader/entry', mode: 0o600, uid: 0, gid: 0, mtime: new Date(0), uname: '', gname: '' };
  new HeaderOf({ ...fields, type: 'ExtendedHeader', size }).encode(block);
  if (recordsHeaders.size < 1000) recordsHeaders.set(size, block);
  return block;
}

function decode(HeaderOf: typeof Header, block: Buffer, records: ReadonlyMap<string, Buffer>): ReturnType<TarHeaders['decode']> {
  if (isZero(block)) return { type: 'End' };
  const header = new HeaderOf(block);
  if (!header.cksumValid) throw new TypeError('a header is damaged');
  const { type } = header;
  if (type === 'ExtendedHeader') return { type: 'Records', size: header.size ?? 0 };
  if (type !== 'File' && type !== 'Directory' && type !== 'SymbolicLink' && type !== 'Link') throw new TypeError(`it holds a ${type}`);
  const text = (key: string, plain: string | undefined): string => {
    const bytes = records.get(key);
    return bytes === undefined ? (plain ?? '') : nameOf(bytes);
  };
  const realSize = records.get('GNU.sparse.realsize');
  // Other readers would take its name, or its map, from there.
  if (realSize === undefined && records.size > 0 && [...records.keys()].some((key) => key.startsWith('GNU.sparse.')))
    throw new TypeError('a header is damaged');
  const name = text(realSize === undefined ? 'path' : 'GNU.sparse.name', header.path);
  const xattrs = attributesIn(records);
  return {
    path: type === 'Directory' ? name.replace(/^\.\/$/, '').replace(/\/$/, '') : name,
    type,
    mode: header.mode ?? 0,
    uid: Number(text('uid', String(header.uid ?? 0))),
    gid: Number(text('gid', String(header.gid ?? 0))),
    size: Number(text('size', String(header.size ?? 0))),
    mtime: nanoseconds(text('mtime', String(Math.floor((header.mtime?.getTime() ?? 0) / 1000)))),
    target: text('linkpath', header.linkpath),
    ...(realSize === undefined ? {} : { realSize: Number(realSize.toString('latin1')) }),
    ...(xattrs === undefined ? {} : { xattrs }),
  };
}

function attributesIn(records: ReadonlyMap<string, Buffer>): Record<string, string> | undefined {
  let found: Record<string, string> | undefined;
  for (const [key, value] of records) {
    if (!key.startsWith(attribute)) continue;
    found ??= {};
    found[key.slice(attribute.length)] = value.toString('base64');
  }
  return found;
}

/** `12 key=value\n`, the length of the whole record first. A value may hold any byte. */
function record(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** Throws a TypeError where a record does not end where it says. */
export function parseRecords(body: Buffer): ReadonlyMap<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const length = Number(body.toString('latin1', at, space));
    const equals = body.indexOf(0x3d, space);
    const end = at + length;
    if (space < 0 || equals < 0 || !Number.isSafeInteger(length) || equals >= end || end > body.length || body[end - 1] !== 0x0a)
      throw new TypeError('an extended header is damaged');
    records.set(body.toString('latin1', space + 1, equals), body.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** How many zero bytes follow contents of this size. */
export function padding(size: number): number {
  return (512 - (size % 512)) % 512;
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

function decimal(time: bigint): string {
  const magnitude = time < 0n ? -time : time;
  const fraction = String(magnitude % second)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${time < 0n ? '-' : ''}${magnitude / second}${fraction === '' ? '' : `.${fraction}`}`;
}

function nanoseconds(text: string): string {
  const match = /^(-?)(\d+)(?:\.(\d{1,9}))?\d*$/.exec(text);
  if (match === null) throw new TypeError(`"${text}" is no time`);
  const [, sign, whole = '0', fraction = ''] = match;
  const magnitude = BigInt(whole) * second + BigInt(fraction.padEnd(9, '0'));
  return String(sign === '-' ? -magnitude : magnitude);
}
