// The runs so far: how long each took as a picture, and as a table for whoever wants to read it.
import { Card, Mark } from './parts.tsx';
import type { RunSummary } from './types.ts';
import { count, duration, moment, outcomes, way, type Tone } from './words.ts';

const chartRuns = 40;
const tableRuns = 12;
const height = 96;
const barWidth = 14;
const step = 20;

export function History({ runs }: { readonly runs: readonly RunSummary[] }) {
  if (runs.length === 0) return null;
  const over = runs
    .filter(({ finishedAt }) => finishedAt !== null)
    .slice(0, chartRuns)
    .toReversed();
  const times = over.map(tookMs);
  const longest = Math.max(1, ...times);
  // Runs take milliseconds or hours: on a straight scale only the longest would be seen.
  const heightOf = (ms: number): number => Math.max(4, (Math.log10(1 + ms) / Math.log10(1 + longest)) * height);
  const width = Math.max(240, over.length * step + 8);
  return (
    <Card title="History" id="history" aside={<span class="quiet">{count(runs.length, 'run')}</span>}>
      {over.length > 1 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="How long the runs took">
          <svg
            class="chart"
            width={width}
            height={height + 26}
            viewBox={`0 0 ${width} ${height + 26}`}
            role="img"
            aria-label={`How long the last ${over.length} runs took, the longest ${duration(longest)}`}
          >
            <line class="ground" x1={0} x2={width} y1={height + 4} y2={height + 4} />
            {over.map((run, index) => {
              const tall = heightOf(times[index] ?? 0);
              return (
                <rect key={run.id} class={toneOf(run)} x={4 + index * step} y={height + 4 - tall} width={barWidth} height={tall} rx={3}>
                  <title>{`${way(run)}: ${textOf(run)}, ${duration(times[index] ?? 0)}, ${moment(run.startedAt)}`}</title>
                </rect>
              );
            })}
            <text x={4} y={height + 21}>
              older
            </text>
            <text class="end" x={width - 4} y={height + 21}>
              newest; the longest took {duration(longest)}
            </text>
          </svg>
        </div>
      )}
      <div class="scroll" tabIndex={0} role="region" aria-label="Runs">
        <table>
          <thead>
            <tr>
              <th scope="col">Way</th>
              <th scope="col">Outcome</th>
              <th scope="col">Began</th>
              <th scope="col">Took</th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {runs.slice(0, tableRuns).map((run) => (
              <tr key={run.id}>
                <td class="strong">{way(run)}</td>
                <td>
                  <Mark tone={toneOf(run)} /> {textOf(run)}
                </td>
                <td>{moment(run.startedAt)}</td>
                <td class="number">{run.finishedAt === null ? '' : duration(tookMs(run))}</td>
                <td class="why">{run.failure === null ? '' : `${run.failure.step ?? run.failure.code}: ${run.failure.hint}`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function tookMs({ startedAt, finishedAt }: RunSummary): number {
  return finishedAt === null ? 0 : Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt));
}

function toneOf({ outcome }: RunSummary): Tone {
  return outcome === null ? 'live' : (outcomes[outcome]?.tone ?? 'quiet');
}

function textOf({ outcome }: RunSummary): string {
  return outcome === null ? 'unfinished' : (outcomes[outcome]?.text ?? outcome);
}
