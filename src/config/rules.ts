// The rules of `upgrade.yaml` that no shape can tell: names that must exist, circles, places that must not be used, URLs and patterns.
import type { UpgradeConfigText } from '../../schemas/upgrade-config.ts';
import type { Config } from '../model/config.ts';
import { failure, type Failure } from '../model/failure.ts';
import { nearest } from '../model/nearest.ts';
import type { YamlSource } from '../model/yaml-source.ts';
import { placeRules } from './place-rules.ts';
import { dotted, type RuleContext } from './rule-context.ts';
import { valueRules } from './value-rules.ts';

type Path = readonly (string | number)[];

export function configRules(text: UpgradeConfigText, config: Config, source: YamlSource, of: string): readonly Failure[] {
  const context: RuleContext = {
    text,
    config,
    of,
    place: (path, on) => ({ place: source.placeAt(path, on) }),
    isHidden: (path) => source.isHidden(path),
    keysAt: (path) => keysAt(source.value, path),
  };
  return [...versionRule(context), ...nameRules(context), ...serviceRules(context), ...placeRules(context), ...valueRules(context)];
}

function keysAt(value: unknown, path: Path): readonly string[] {
  const at = path.reduce<unknown>(
    (outer, key) => (typeof outer === 'object' && outer !== null ? Reflect.get(outer, key) : undefined),
    value,
  );
  return typeof at === 'object' && at !== null ? Object.keys(at) : [];
}

/** Ladders need no version. */
function versionRule({ of, place, keysAt: keys }: RuleContext): readonly Failure[] {
  if (keys([]).includes('version') || keys(['ladders']).length > 0) return [];
  const expected = 'a map with one of the keys file, json, command, journal';
  return [failure('MISSING_KEY', { of, key: 'version', expected }, place(['version'], 'key'))];
}

function nameRules(context: RuleContext): readonly Failure[] {
  const { text, config } = context;
  const [services, databases] = [context.keysAt(['services']), context.keysAt(['databases'])];
  const problems: Failure[] = [];
  const databaseAt = (path: Path, name: string, kind?: 'sqlite' | 'postgres') => {
    const database = config.databases[name];
    if (!databases.includes(name)) problems.push(unknownName(context, path, 'database', name, databases));
    else if (kind !== undefined && database !== undefined && database.kind !== kind)
      problems.push(wrongKind(context, path, name, `a ${database.kind} database`, `a ${kind} database`));
  };
  for (const [name, ladder] of Object.entries(text.ladders ?? {})) {
    if (ladder.database !== undefined && ladder.index === undefined) databaseAt(['ladders', name, 'database'], ladder.database);
    if (ladder.database !== undefined && ladder.index !== undefined) {
      problems.push(
        failure(
          'TWO_FORMS',
          { of: context.of, key: dotted(['ladders', name]), present: ['index', 'database'] },
          context.place(['ladders', name, 'database'], 'key'),
        ),
      );
    }
    if (ladder.fresh !== undefined && ladder.index !== undefined) {
      const present = ['index', 'fresh'];
      const where = context.place(['ladders', name, 'fresh'], 'key');
      problems.push(failure('TWO_FORMS', { of: context.of, key: dotted(['ladders', name]), present }, where));
    }
  }
  for (const [at, probe] of config.verify.entries()) {
    if (probe.kind === 'sqlite' || probe.kind === 'postgres') databaseAt(['verify', at, probe.kind], probe.database, probe.kind);
    if (probe.kind !== 'docker' && probe.kind !== 'systemd') continue;
    const service = config.services[probe.service];
    const path = ['verify', at, probe.kind];
    const isFitting = probe.kind === 'systemd' ? service?.kind === 'systemd' : service?.kind === 'docker' || service?.kind === 'compose';
    if (!services.includes(probe.service)) problems.push(unknownName(context, path, 'service', probe.service, services));
    else if (service !== undefined && !isFitting)
      problems.push(wrongKind(context, path, probe.service, `a ${service.kind} service`, `a ${probe.kind} service`));
  }
  const names = new Map<string, number>();
  for (const [at, { name }] of config.verify.entries()) {
    if (names.has(name))
      problems.push(failure('DUPLICATE_KEY', { of: context.of, key: `verify: name: ${name}` }, context.place(['verify', at, 'name'])));
    names.set(name, at);
  }
  return problems;
}

function serviceRules(context: RuleContext): readonly Failure[] {
  const { config, of } = context;
  const names = context.keysAt(['services']);
  const problems: Failure[] = [];
  for (const service of Object.values(config.services)) {
    for (const [at, name] of service.after.entries()) {
      if (!names.includes(name)) problems.push(unknownName(context, ['services', service.name, 'after', at], 'service', name, names));
    }
    if (service.kind !== 'command') continue;
    const path = ['services', service.name, 'command'];
    const given = new Set(context.keysAt(path));
    const lacking = ['stop', 'start'].find((key) => !given.has(key));
    if (!given.has('restart') && lacking !== undefined) {
      const missing = given.has('stop') || given.has('start') ? `"${lacking}" and no "restart"` : '"restart"';
      problems.push(failure('CONFIG_SERVICE_INCOMPLETE', { of, service: service.name, missing }, context.place(path, 'key')));
    } else if (service.stopDuringUpgrade && lacking !== undefined) {
      const missing = `"${lacking}", but stopDuringUpgrade is true`;
      problems.push(failure('CONFIG_SERVICE_INCOMPLETE', { of, service: service.name, missing }, context.place(path, 'key')));
    }
  }
  for (const cycle of cyclesOf(config)) {
    problems.push(failure('CONFIG_SERVICE_CYCLE', { of, cycle }, context.place(['services', cycle[0] ?? '', 'after'], 'key')));
  }
  return problems;
}

/** Each circle once, as `[api, web, api]`. */
function cyclesOf(config: Config): readonly (readonly string[])[] {
  const cycles: (readonly string[])[] = [];
  const done = new Set<string>();
  const walk = (name: string, way: readonly string[]) => {
    const start = way.indexOf(name);
    if (start >= 0) cycles.push([...way.slice(start), name]);
    if (start >= 0 || done.has(name)) return;
    for (const next of config.services[name]?.after ?? []) walk(next, [...way, name]);
    done.add(name);
  };
  for (const name of Object.keys(config.services)) walk(name, []);
  return cycles;
}

function unknownName({ of, place }: RuleContext, path: Path, what: string, name: string, known: readonly string[]): Failure {
  return failure('UNKNOWN_NAME', { of, key: dotted(path), what, name, nearest: nearest(name, known), known }, place(path));
}

function wrongKind({ of, place }: RuleContext, path: Path, name: string, found: string, expected: string): Failure {
  return failure('WRONG_KIND', { of, key: dotted(path), name, found, expected }, place(path));
}
