// Semantic versions. Only `parseVersion` makes a `Version`, so one that is held is a valid one, without a leading "v".
import semver from 'semver';
import { fail } from './failure.ts';

declare const brand: unique symbol;
export type Version = string & { readonly [brand]: 'Version' };

/** Reads `1.2.3`, `v1.2.3`, `1.2.3-rc.1`; build metadata is dropped. Throws INVALID_VERSION. */
export function parseVersion(text: string, place?: string): Version {
  const version = tryParseVersion(text);
  if (version === null) throw fail('INVALID_VERSION', { text, ...(place === undefined ? {} : { place }) });
  return version;
}

export function tryParseVersion(text: string): Version | null {
  const parsed = semver.parse(text.trim().replace(/^v/, ''));
  // `semver` drops build metadata from `.version`, which is what makes two spellings of one version equal.
  return parsed === null ? null : (parsed.version as Version);
}

export function compareVersions(a: Version, b: Version): -1 | 0 | 1 {
  return semver.compare(a, b);
}

/** Each version once, the lowest first. Every version is parsed once, which is what makes thousands of them quick. */
export function sortVersions(versions: Iterable<Version>): readonly Version[] {
  const parsed = [...new Set(versions)].map((version) => ({ version, key: new semver.SemVer(version) }));
  return parsed.sort((a, b) => a.key.compare(b.key)).map(({ version }) => version);
}
