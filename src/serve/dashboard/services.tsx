// What runs now, and what the last run's probes said.
import { Card, FailureBox, Mark, Pill } from './parts.tsx';
import type { Run, Services } from './types.ts';

export function ServicesAndProbes({ services, run }: { readonly services: Services | null; readonly run: Run | null }) {
  if (services === null) return null;
  const { services: list, probes } = services;
  const ofRun = (name: string) => (run?.outcome === null ? run.services.find((one) => one.name === name) : undefined);
  const probeOfRun = (name: string) => run?.probes.find((one) => one.name === name);
  return (
    <Card title="Services and probes" id="services">
      {list.length + probes.length === 0 && <p class="quiet">upgrade.yaml names none.</p>}
      <ul class="rows">
        {list.map(({ name, kind, isRunning, problem }) => {
          const live = ofRun(name);
          const isUp = live === undefined ? isRunning : live.status === 'healthy' || live.status === 'running';
          return (
            <li key={name}>
              <span class="strong">{name}</span>
              <span class="quiet">{kind}</span>
              {isUp === null ? (
                <Pill tone="quiet">unknown</Pill>
              ) : isUp ? (
                <Pill tone="good">{live?.status ?? 'running'}</Pill>
              ) : (
                <Pill tone="bad">{live?.status ?? 'stopped'}</Pill>
              )}
              {problem !== null && <FailureBox failure={problem} />}
            </li>
          );
        })}
        {probes.map(({ name, kind, status, detail }) => {
          const said = probeOfRun(name)?.status ?? status;
          return (
            <li key={`probe ${name}`}>
              <span>{name}</span>
              <span class="quiet">{kind}</span>
              {said === null ? (
                <Pill tone="quiet">not yet tried</Pill>
              ) : said === 'passed' ? (
                <Pill tone="good">passed</Pill>
              ) : (
                <Pill tone="bad">failed</Pill>
              )}
              {said === 'failed' && (
                <p class="detail">
                  <Mark tone="bad" /> {probeOfRun(name)?.detail ?? detail ?? ''}
                </p>
              )}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
