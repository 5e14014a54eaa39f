// The dashboard: one page about one installation.
import { render } from 'preact';
import { useState } from 'preact/hooks';
import { Backups } from './backups.tsx';
import { VersionGraph } from './graph.tsx';
import { Head } from './head.tsx';
import { History } from './history.tsx';
import { LiveRun } from './run.tsx';
import { ServicesAndProbes } from './services.tsx';
import { useInstallation } from './store.ts';
import { forgetToken, keptToken, keepToken, TokenForm } from './token.tsx';

function Page() {
  const [token, setToken] = useState(keptToken);
  const known = useInstallation(token);
  const leave = (): void => {
    forgetToken();
    location.reload();
  };
  if (token === null || (known.isRefused && known.status === null)) {
    return (
      <TokenForm
        problem={token === null ? null : known.problem}
        onToken={(given) => {
          keepToken(given);
          setToken(given);
        }}
      />
    );
  }
  const { status, run, runs, graph, backups, services } = known;
  return (
    <>
      <a class="skip" href="#content">
        Skip to the content
      </a>
      <Head known={known} onLeave={leave} />
      <main id="content" tabIndex={-1}>
        {status === null ? (
          <p class="waiting">{known.problem ?? 'Asking…'}</p>
        ) : (
          <>
            <LiveRun run={run} progress={known.progress} output={known.output} problems={status.problems ?? []} />
            <VersionGraph graph={graph} />
            <div class="columns">
              <Backups backups={backups} />
              <ServicesAndProbes services={services} run={run} />
            </div>
            <History runs={runs} />
          </>
        )}
      </main>
    </>
  );
}

const page = document.getElementById('page');
// What stood there was for the time until now.
page?.replaceChildren();
if (page !== null) render(<Page />, page);
