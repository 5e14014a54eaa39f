// An index with a title for each note. It uses nothing but `files`, which records what was there: a rollback needs no backward of its own.
import { defineStep } from 'rungs';

const titleLength = 24;

export default defineStep({
  description: 'Make an index of the notes, with titles',
  estimatedDuration: '1s',
  idempotent: true,

  forward: async ({ files, log }) => {
    const names = (await files.list('data/notes')).filter((name) => name.endsWith('.txt')).toSorted();
    const notes = await Promise.all(
      names.map(async (file) => ({ file, title: (await files.read(`data/notes/${file}`)).trim().slice(0, titleLength) })),
    );
    await files.write('data/index.json', `${JSON.stringify({ notes }, null, 2)}\n`);
    await files.write('data/FORMAT', '3\n');
    log.info(`${notes.length} notes in the index`);
  },

  backward: async ({ files }) => {
    await files.remove('data/index.json');
    await files.write('data/FORMAT', '2\n');
  },
});
