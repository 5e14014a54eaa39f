// What goes wrong with services.
import type { FailureRegistry } from '../failure.ts';

export interface Named {
  readonly service: string;
}

export interface Edge {
  readonly service: string;
  readonly after: string;
  readonly source: string | null;
}

const whereLogIs = ({ service }: Named) => `state/services/${service}.log`;

export const serviceFailures = {
  SERVICE_UNKNOWN: ({ services, known }: { services: readonly string[]; known: readonly string[] }) => ({
    message: `${services.length === 1 ? 'A service is' : 'Services are'} named that upgrade.yaml does not have: ${services.join(', ')}.`,
    hint:
      known.length === 0
        ? 'Add it under "services:" in upgrade.yaml, or take the name out.'
        : `Known are: ${known.join(', ')}. Correct the name, or add the service under "services:" in upgrade.yaml.`,
  }),
  SERVICE_CYCLE: ({ edges }: { edges: readonly Edge[] }) => ({
    message: `Services wait for each other in a circle: ${[...edges.map(({ service }) => service), edges[0]?.service ?? ''].join(' → ')}.`,
    hint: `${edges.map(({ service, after, source }) => `${service} comes after ${after} by ${source ?? '"after:" in upgrade.yaml'}`).join('; ')}. Take one of these out.`,
  }),
  SERVICE_EXECUTABLE_MISSING: ({
    service,
    action,
    executable,
    problem,
  }: Named & { action: string; executable: string; problem: string }) => ({
    message: `The ${action} command of service ${service} is "${executable}", but ${problem}.`,
    hint: `Install it, make it executable (chmod +x), or correct services.${service}.command.${action} in upgrade.yaml.`,
  }),
  SERVICE_NOT_OBSERVABLE: ({ service }: Named) => ({
    message: `Nothing tells whether service ${service} runs: it has no "health" and no "status" command and no "pidFile".`,
    hint: `Add one of them to services.${service}, so that a restart can be proven and not only believed.`,
  }),
  SERVICE_SILENT: ({ service, timeoutMs }: Named & { timeoutMs: number }) => ({
    message: `Service ${service} did not say within ${timeoutMs / 1000} s whether it runs.`,
    hint: 'Ask by hand what runs it (systemctl status, docker ps, its status command): it answers late, or not at all.',
  }),
  SERVICE_ACTION_MISSING: ({ service, action }: Named & { action: string }) => ({
    message: `Service ${service} has no command to ${action} it.`,
    hint:
      action === 'restart'
        ? `Add "restart", or "stop" and "start", to services.${service}.command in upgrade.yaml.`
        : `Add "${action}" to services.${service}.command in upgrade.yaml.`,
  }),
  SERVICE_COMMAND_FAILED: ({ service, action, command, account }: Named & { action: string; command: string; account: string }) => ({
    message: `Service ${service} could not ${action}: "${command}" ${account}.`,
    hint: `Run the command by hand in the installation's root and correct what it complains about. What it printed is in ${whereLogIs({ service })}.`,
  }),
  SERVICE_COMMAND_TIMEOUT: ({ service, action, command, timeoutMs }: Named & { action: string; command: string; timeoutMs: number }) => ({
    message: `Service ${service} could not ${action}: "${command}" did not end within ${timeoutMs / 1000} s, and was killed with all its processes.`,
    hint: `The command must come back once the service runs in the background. If it only needs longer, raise services.${service}.timeout.`,
  }),
  SERVICE_STILL_RUNNING: ({ service, timeoutMs }: Named & { timeoutMs: number }) => ({
    message: `Service ${service} still runs ${timeoutMs / 1000} s after its stop command said that it was stopped.`,
    hint: `Look at services.${service}.command.stop: it has to end the process, or give it longer with "timeout".`,
  }),
  SERVICE_NOT_RESTARTED: ({ service, identity }: Named & { identity: string }) => ({
    message: `Service ${service} was not restarted: its restart command returned without an error, but the process is the same as before (${identity}).`,
    hint: `Look at services.${service}.command.restart: it has to end the old process and start a new one.`,
  }),
  SERVICE_NOT_RUNNING: ({ service, timeoutMs }: Named & { timeoutMs: number }) => ({
    message: `Service ${service} did not come up within ${timeoutMs / 1000} s.`,
    hint: `Its last output is in ${whereLogIs({ service })}. If it only needs longer, raise services.${service}.timeout.`,
  }),
  SERVICE_ENDED: ({ service, account }: Named & { account: string }) => ({
    message: `Service ${service} does not run: it ${account}, and nothing starts it again.`,
    hint: `Its last lines say why. Correct that, and then "upgrade resume" or the upgrade itself tries again.`,
  }),
  SERVICE_LOST: ({ service, account }: Named & { account: string }) => ({
    message: `Service ${service} was well after its restart and is not any more: it ${account}.`,
    hint: `Its last lines say why. A longer services.${service}.stableFor, or "soak:", finds this in its own time.`,
  }),
  SERVICE_UNHEALTHY: ({ service, timeoutMs, command, account }: Named & { timeoutMs: number; command: string; account: string }) => ({
    message: `Service ${service} runs, but did not become healthy within ${timeoutMs / 1000} s: "${command}" ${account}.`,
    hint: `Run the health command by hand to see what it misses. If the service only needs longer, raise services.${service}.timeout.`,
  }),
  SERVICE_DIED: ({ service, afterMs }: Named & { afterMs: number }) => ({
    message: `Service ${service} came up and died ${(afterMs / 1000).toFixed(1)} s later.`,
    hint: `Its last output is in ${whereLogIs({ service })}; it says why a start does not last.`,
  }),
  SERVICE_UNSTABLE: ({ service, times, stableForMs }: Named & { times: number; stableForMs: number }) => ({
    message: `Service ${service} does not stay well for ${stableForMs / 1000} s: it came up and went down ${times} times.`,
    hint: `Its last output is in ${whereLogIs({ service })}. Something starts it again and again, and it fails each time.`,
  }),
} satisfies FailureRegistry;
