// A step as bad ones are: it does half of its work, most of it behind the back of `files`, commits rows, and then fails.
// `npm run demo -- --break` copies it into the second transition.
import { chmod, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineStep } from 'rungs';

export default defineStep({
  description: 'Tidy up the uploads (this one fails half-way)',
  requiresRestart: ['web'],
  forward: async ({ root, files, sqlite, checkpoint, log }) => {
    await files.move('data/uploads/latest', 'data/uploads/newest');
    await files.updateYaml('config/app.yaml', (doc) => doc.setIn(['server', 'title'], 'Half upgraded'));
    // Nothing records these.
    await rename(join(root, 'data/uploads/bjorn1'), join(root, 'data/uploads/archive'));
    await rm(join(root, 'config/storage.json'));
    await chmod(join(root, '.env'), 0o666);
    await writeFile(join(root, 'data/uploads/left-over.tmp'), 'half of a file');
    // And these rows are committed.
    await sqlite('app').run('DELETE FROM orders WHERE id % 2 = 0');
    await checkpoint.save('every second order is gone');
    log('files moved, settings changed, every second order deleted');
    throw new Error('the disk for the archive is not there');
  },
});
