// knex-migrator: `node knex-migrator.cjs up DIR`.
const KnexMigrator = require('knex-migrator');

const [, dir] = process.argv.slice(2);
(async () => {
  const migrator = new KnexMigrator({ knexMigratorFilePath: dir });
  await migrator.init({ skipInitCompletion: true });
  await migrator.migrate({ force: true });
  process.exit(0);
})();
