// How much a test repeats: `quick` by default, so that everybody runs it often; what the issues count in CI; everything with RUNGS_TEST_LEVEL=full.
export const level: 'quick' | 'ci' | 'full' =
  process.env['RUNGS_TEST_LEVEL'] === 'full' ? 'full' : process.env['CI'] === 'true' ? 'ci' : 'quick';

export function countFor({ quick, ci }: { readonly quick: number; readonly ci: number }): number {
  return level === 'quick' ? quick : ci;
}
