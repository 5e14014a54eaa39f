// The sample product as a scratch installation, for every test that needs a real one: failures, kills, races.
//
//   const scratch = await makeScratch();
//   await scratch.start();
//   const before = await scratch.snapshot();
//   const result = await scratch.upgrade(['--to', '0.3.0', '--json']);
//   expect(differencesBetween(before, await scratch.snapshot())).toEqual([]);
//   await scratch.remove();
export { makeScratch } from '../../../examples/demo/scratch.ts';
export type { Scratch } from '../../../examples/demo/scratch.ts';
export { differencesBetween, digestOf } from '../../../examples/demo/snapshot.ts';
export type { Snapshot } from '../../../examples/demo/snapshot.ts';
