// `upgrade.yaml` as it is written: what keys there are, and of what shape. Rules between keys are in src/config.
import * as z from 'zod/mini';
import { argv, count, duration, exact, flag, forms, listOf, mapOf, oneOf, pattern, pointer, say, text } from './shapes.ts';

const path = (what = 'a path') => text(what);
const optional = z.optional;

const versionSource = forms([
  exact({ file: say('A text file that holds nothing but the version, relative to the root.', path()) }),
  exact({
    json: say('A JSON file, relative to the root.', path()),
    pointer: optional(say('Where in it the version stands; /version if not given.', pointer())),
  }),
  exact({ command: say('Prints the version. After an upgrade it has to print the new one.', argv()) }),
  exact({ journal: say('The version is kept in the journal alone.', z.literal(true, 'true')) }),
]);

const ladder = exact({
  dir: say('Folder of NNN_name.sql files, or of the scripts that the index names.', path()),
  index: optional(say('An index.json whose order governs, for ladders of scripts.', path())),
  database: optional(say('The database that the SQL files are for.', text('the name of a database'))),
  onFailure: optional(
    say('keep: steps before a failing one stay. Default: rollback; for index ladders keep.', oneOf(['rollback', 'keep'])),
  ),
  group: optional(say('All pending SQL steps in one transaction. Default: false.', flag())),
  fresh: optional(say('SQL file, or folder of NNN_name steps, that brings an empty database straight to the top of the ladder.', path())),
  writeBack: optional(say('Keep the record of the tool that was there before up to date, too. Default: false.', flag())),
});

const postgresUrl = () => text('a URL such as postgres://user:password@host/database');

const database = forms([
  exact({ sqlite: say('The database file, relative to the root.', path()) }),
  exact({
    postgres: say('A postgres:// URL, best from the environment.', postgresUrl()),
    connect: optional(say('How connecting is tried again.', exact({ attempts: optional(count(1)), backoff: optional(duration()) }))),
  }),
]);

const serviceName = () => text('the name of a service');
const everyService = {
  after: optional(say('Services that are restarted before this one.', listOf(serviceName(), 'a list of service names'))),
  stopDuringUpgrade: optional(say('Stop it before the backup and start it after the last step. Default: false.', flag())),
  timeout: optional(say('How long it may take to be well again. Default: 60s.', duration())),
  stableFor: optional(say('How long it must stay well to count. Default: 3s.', duration())),
  writes: optional(
    say(
      'What it writes to while it runs: paths relative to the root, or database:NAME. A rollback leaves that to backup.onDrift.',
      listOf(path('a path, or database:NAME'), 'a list of paths'),
    ),
  ),
};

const service = forms([
  exact({
    command: say(
      'Commands of your own, each a list of arguments, run in the root.',
      exact({
        restart: optional(say('Default: stop, then start.', argv())),
        stop: optional(argv()),
        start: optional(argv()),
        health: optional(say('Exits 0 when the service is well.', argv())),
        status: optional(say('Prints what identifies the running process, its PID for example.', argv())),
      }),
    ),
    pidFile: optional(say('Where the service keeps its PID, relative to the root.', path())),
    ...everyService,
  }),
  exact({
    systemd: say(
      'The unit; without a suffix it is a .service.',
      pattern(/^(?!-)(?!.*@($|\.))[A-Za-z0-9:_.\\@-]{1,255}$/, 'the name of a unit such as api.service or worker@1'),
    ),
    scope: optional(say('Default: system.', oneOf(['system', 'user']))),
    ...everyService,
  }),
  exact({
    docker: say(
      'The container, by name or by label.',
      z.union([text(), exact({ label: text() })], 'the name of a container, or { label: key=value }'),
    ),
    ...everyService,
  }),
  exact({
    compose: say('The Compose file, relative to the root.', path()),
    service: say('The service in it.', text('the name of a service in the Compose file')),
    ...everyService,
  }),
]);

const everyProbe = {
  name: say('What it proves, for people.', text('a name that says what the probe proves')),
  within: optional(say('It is tried again until then. Default: 30s.', duration())),
};
const queryExpect = exact({ value: say('The first column of the first row.', z.unknown()) });
const databaseName = () => text('the name of a database');
const query = () => text('an SQL query');

const probe = forms([
  exact({
    http: say('URL to get.', text('a URL such as http://127.0.0.1:8080/health')),
    expect: optional(
      exact({
        status: optional(
          say(
            'Default: 200.',
            z.int('a status code such as 200').check(z.gte(100, 'a status code such as 200'), z.lte(599, 'a status code such as 200')),
          ),
        ),
        json: optional(
          say(
            'JSON pointers and the values expected there.',
            z.record(z.string(), z.unknown(), 'a map of JSON pointers such as { /ok: true }'),
          ),
        ),
        headers: optional(z.record(z.string(), z.string('a header value as text'), 'a map of header names to values')),
        body: optional(say('A regular expression that the body matches.', text('a regular expression'))),
      }),
    ),
    tls: optional(
      say(
        'How an https address is trusted.',
        exact({
          ca: optional(say("A file of certificates to trust in place of the machine's, relative to the root.", path())),
          client: optional(
            say('What we show: certificate and key, relative to the root.', exact({ cert: say('PEM.', path()), key: say('PEM.', path()) })),
          ),
          serverName: optional(say('The name that its certificate has to be for.', text('the name of a host'))),
          insecure: optional(say('Take any certificate. Default: false.', flag())),
        }),
      ),
    ),
    ...everyProbe,
  }),
  exact({
    tcp: say('host:port.', pattern(/^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):\d{1,5}$/, 'an address such as 127.0.0.1:5432')),
    ...everyProbe,
  }),
  exact({
    command: say('A list of arguments, run in the root.', argv()),
    expect: optional(
      exact({
        exitCode: optional(say('Default: 0.', z.int('an exit code'))),
        stdout: optional(say('A regular expression that the output matches.', text('a regular expression'))),
      }),
    ),
    ...everyProbe,
  }),
  exact({
    file: say('Relative to the root.', path()),
    expect: optional(
      exact({
        exists: optional(say('Default: true.', flag())),
        contains: optional(text()),
        mode: optional(say('Octal, in quotes.', pattern(/^[0-7]{3,4}$/, 'an octal mode in quotes such as "0640"'))),
      }),
    ),
    ...everyProbe,
  }),
  exact({ sqlite: say('Name of the database.', databaseName()), query: query(), expect: queryExpect, ...everyProbe }),
  exact({ postgres: say('Name of the database.', databaseName()), query: query(), expect: queryExpect, ...everyProbe }),
  exact({ docker: say('Name of a docker or compose service of this file: running and healthy.', serviceName()), ...everyProbe }),
  exact({ systemd: say('Name of a systemd service of this file: active.', serviceName()), ...everyProbe }),
]);

export const upgradeConfig = exact({
  product: say('What is upgraded, for people.', text('the name of the product')),
  root: optional(say('Installation root, relative to this file. Default: the folder of this file.', path())),
  version: optional(
    say(
      'Where the installed version is read and written. Required, but where there are ladders: then { journal: true } is the default.',
      versionSource,
    ),
  ),
  migrations: optional(say('Folder of vX_to_vY folders, relative to this file. Default: ./migrations.', path())),
  ladders: optional(say('Flat numbered sequences of steps.', mapOf(ladder, 'a map of ladder names'))),
  state: optional(say('Journal, lock, run logs, undo data. Default: .upgrade.', path())),
  journal: optional(say('Only for installations of several hosts; the default is embedded.', exact({ postgres: postgresUrl() }))),
  databases: optional(say('Databases that steps and probes name.', mapOf(database, 'a map of database names'))),
  backup: optional(
    say(
      'What is saved before the first step.',
      exact({
        dir: optional(say('Default: backups in the state folder.', path())),
        include: optional(say('Paths relative to the root. Default: the whole root.', listOf(path(), 'a list of paths'))),
        exclude: optional(
          say('Patterns relative to the root.', listOf(text('a pattern such as data/cache or **/*.tmp'), 'a list of patterns')),
        ),
        onDrift: optional(
          say(
            'What a rollback does with what services that run on have written since the backup: report (leave it and say so), restore, or ask on a terminal. Default: report.',
            oneOf(['report', 'restore', 'ask']),
          ),
        ),
        keep: optional(say('How many backups are kept. Default: 10.', count(1))),
        keepDays: optional(say('Backups of the last so many days stay, whatever "keep" says. Default: none for its age.', count(1))),
        restoreTest: optional(
          say(
            'Restore each backup into a scratch folder, its databases into scratch databases, and check these, before it counts. Default: false.',
            flag(),
          ),
        ),
        volumes: optional(
          say(
            'Docker volumes that are saved with it, by name; takes root and GNU tar.',
            listOf(text('the name of a volume'), 'a list of volume names'),
          ),
        ),
        commands: optional(
          say(
            'What only commands can save, by name: Redis, MariaDB.',
            mapOf(
              exact({
                backup: say('Prints it.', argv()),
                restore: say(
                  'Reads it from its standard input, or from the file that UPGRADE_BACKUP_FILE names, and puts it in place.',
                  argv(),
                ),
                digest: optional(
                  say(
                    'Prints the same as long as nothing has changed. Without it, only "backup restore ID command:NAME" puts it back.',
                    argv(),
                  ),
                ),
                timeout: optional(say('Of each of them. Default: 1h.', duration())),
              }),
              'a map of names',
            ),
          ),
        ),
        afterBackup: optional(
          say(
            'What is done with each verified backup before the first step: a copy to another host, for example.',
            exact({
              command: say(
                'A list of arguments, run in the root, with UPGRADE_BACKUP_ID, UPGRADE_BACKUP_ARCHIVE and UPGRADE_BACKUP_MANIFEST in its environment; {archive}, {manifest} and {id} stand for them in an argument.',
                argv(),
              ),
              timeout: optional(say('Default: 1h.', duration())),
              onFailure: optional(say('warn: the upgrade goes on. fail: it is refused. Default: warn.', oneOf(['warn', 'fail']))),
            }),
          ),
        ),
        encrypt: optional(
          exact({
            age: say(
              'age recipients: public keys of age (age1…) or of SSH (ssh-ed25519 AAAA…). No secret key belongs on the host.',
              listOf(text('an age recipient (age1…) or an ssh-ed25519 public key'), 'a list of age recipients'),
            ),
          }),
        ),
      }),
    ),
  ),
  services: optional(say('Services that steps restart.', mapOf(service, 'a map of service names'))),
  parallelRestarts: optional(say('How many services are stopped, restarted and watched at once. Default: 32.', count(1))),
  soak: optional(
    say('How long services and probes are watched after all of them were well, before an upgrade is committed. Default: 0s.', duration()),
  ),
  verify: optional(say('Probes that have to pass before an upgrade is committed.', listOf(probe, 'a list of probes'))),
  timeouts: optional(
    say(
      'Deadlines.',
      exact({
        step: optional(say('Of one step. Default: 10m.', duration())),
        lock: optional(say('Of waiting for the lock. Default: 30s.', duration())),
        total: optional(say('Of a whole run. Default: 2h.', duration())),
      }),
    ),
  ),
  boot: optional(
    say(
      'What "upgrade boot" and migrateOnBoot() do.',
      exact({
        onFailure: optional(
          say(
            'Where the installation cannot be brought up to date: stop, or start-anyway. Default: stop.',
            oneOf(['stop', 'start-anyway']),
          ),
        ),
        lockTimeout: optional(say('Of waiting for another host. Default: timeouts.lock.', duration())),
        timeout: optional(say('Of everything together. Default: timeouts.total.', duration())),
      }),
    ),
  ),
  notify: optional(
    say(
      'Who is told about an outcome.',
      listOf(
        exact({
          webhook: say('Who is told.', text('a URL such as https://example.org/hook')),
          on: optional(
            say(
              'At which outcomes. Default: rolled-back, stranded.',
              listOf(oneOf(['committed', 'nothing-to-do', 'refused', 'rolled-back', 'stopped', 'stranded']), 'a list of outcomes'),
            ),
          ),
          template: optional(say('What it understands. Default: json.', oneOf(['json', 'ntfy', 'slack', 'discord']))),
          name: optional(say('What it is called. Default: its place in the list.', text('a name'))),
          secret: optional(say('Messages are signed with it (Standard Webhooks).', text('a secret such as ${HOOK_SECRET}'))),
          headers: optional(
            say('Headers of the request, for a token say.', z.record(z.string(), text('the value of a header'), 'a map of headers')),
          ),
        }),
        'a list of { webhook, on }',
      ),
    ),
  ),
  metrics: optional(
    say(
      'Metrics for hosts where nothing serves them.',
      exact({
        textfile: optional(
          say(
            "Written at the end of each run, for node_exporter's textfile collector.",
            text('a path such as /var/lib/node_exporter/rungs.prom'),
          ),
        ),
      }),
    ),
  ),
});

export type UpgradeConfigText = z.infer<typeof upgradeConfig>;
export type ServiceText = z.infer<typeof service>;
export type ProbeText = z.infer<typeof probe>;
export type DatabaseText = z.infer<typeof database>;
