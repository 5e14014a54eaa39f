// A step as bad ones are: it does half of its work, most of it behind the back of `files`, commits rows, and then fails.
// `npm run demo -- --break` copies it into the second transition.
import { chmod, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineStep } from 'rungs';

export default defineStep({
  description: 'Tidy up (fails half-way)',
  requiresRestart: ['web'],
  forward: async ({ root, files, sqlite, checkpoint, log }) => {
    // Recorded before they are made, so they can be taken back by themselves.
    await files.move('data/uploads/latest', 'data/uploads/newest');
    await files.updateYaml('config/app.yaml', (doc) => doc.setIn(['server', 'title'], 'Half upgraded'));
    // Nothing records these: a file moved, a mode opened, settings half written, one file too many.
    await rename(join(root, 'data/uploads/bjorn1/2022--note-0.txt'), join(root, 'data/uploads/archived.txt'));
    await chmod(join(root, 'data/uploads/incoming'), 0o777);
    await writeFile(join(root, 'config/storage.json'), '{ "keep_deleted_days": 0 }\n');
    // And these rows are committed.
    await sqlite('app').run('DELETE FROM orders WHERE id % 2 = 0');
    await checkpoint.save('every second order is gone');
    log('a file moved, a mode changed, settings overwritten, every second order deleted');
    throw new Error('the disk for the archive is not there');
  },
});
