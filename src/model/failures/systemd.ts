// What goes wrong with systemd and its units.
import type { FailureRegistry } from '../failure.ts';

export interface Unit {
  readonly service: string;
  readonly unit: string;
}

type Scope = 'system' | 'user';

const shell = (scope: Scope) => (scope === 'user' ? 'systemctl --user' : 'systemctl');
const logs = (scope: Scope) => (scope === 'user' ? 'journalctl --user-unit' : 'journalctl -u');
const manager = (scope: Scope) => (scope === 'user' ? "The user's systemd" : 'systemd');

export const systemdFailures = {
  SYSTEMD_UNREACHABLE: ({ scope, account }: { scope: Scope; account: string }) => ({
    message: `${manager(scope)} cannot be asked: ${account.replace(/[.\s]+$/, '')}.`,
    hint:
      scope === 'user'
        ? 'A user\'s systemd runs only while the user is logged in, or for good after "loginctl enable-linger USER". Set XDG_RUNTIME_DIR where it is not /run/user/UID.'
        : 'Try "systemctl is-system-running". In a container there is mostly no systemd: describe the service by commands there.',
  }),
  SYSTEMD_DENIED: ({ scope, command }: { scope: Scope; command: string }) => ({
    message: `${manager(scope)} does not let this user do "${command}".`,
    hint: 'Run as root, or give the user a polkit rule for org.freedesktop.systemd1.manage-units and reload-daemon.',
  }),
  SYSTEMD_NEEDS_RIGHTS: () => ({
    message: 'Units of the system are to be restarted, and this is not root.',
    hint: 'Run as root, or make sure that a polkit rule lets this user manage units: whether it does shows only when one is restarted.',
  }),
  SYSTEMD_FOUND: ({ scope, version }: { scope: Scope; version: string }) => ({
    message: `${manager(scope)} answers, version ${version}.`,
    hint: 'Nothing to do.',
  }),
  SYSTEMD_TOO_OLD: ({ version, least }: { version: string; least: number }) => ({
    message: `systemd ${version} is too old: before ${least} it does not tell one start of a unit from the next.`,
    hint: 'Describe the services by commands, or bring the system up to date.',
  }),
  SYSTEMD_UNIT_UNKNOWN: ({ service, unit, scope }: Unit & { scope: Scope }) => ({
    message: `${manager(scope)} knows no unit ${unit}, which is service ${service}.`,
    hint: `Correct services.${service}.systemd or its "scope", unless a step brings the unit. A service that did not run before an upgrade is not started by it.`,
  }),
  SYSTEMD_UNIT_BROKEN: ({ service, unit, scope, problem }: Unit & { scope: Scope; problem: string }) => ({
    message: `The unit ${unit} of service ${service} cannot be used: ${problem}.`,
    hint: `"${shell(scope)} status ${unit}" and "systemd-analyze${scope === 'user' ? ' --user' : ''} verify ${unit}" say what is wrong with its file.`,
  }),
  SYSTEMD_UNIT_MASKED: ({ service, unit, scope }: Unit & { scope: Scope }) => ({
    message: `The unit ${unit} of service ${service} is masked: systemd will not start it.`,
    hint: `"${shell(scope)} unmask ${unit}", or take the service out of what is restarted.`,
  }),
  SYSTEMD_UNIT_MAY_START: ({ service, unit, triggers }: Unit & { triggers: readonly string[] }) => ({
    message: `Service ${service} (${unit}) does not run, but ${triggers.join(', ')} may start it in the middle of the upgrade.`,
    hint: `Give each of them as a service of its own with "stopDuringUpgrade: true".`,
  }),
  SYSTEMD_ACTION_FAILED: ({ service, unit, action, account, scope }: Unit & { action: string; account: string; scope: Scope }) => ({
    message: `Service ${service} could not ${action}: ${unit} ${account}.`,
    hint: `"${shell(scope)} status ${unit}" and "${logs(scope)} ${unit}" tell the whole story.`,
  }),
  SYSTEMD_TIMEOUT: ({ service, unit, action, timeoutMs, state }: Unit & { action: string; timeoutMs: number; state: string }) => ({
    message: `systemd did not ${action} ${unit} of service ${service} within ${timeoutMs / 1000} s: it is ${state}.`,
    hint: `Look at why it hangs. Its own TimeoutStartSec= and TimeoutStopSec= decide when systemd gives up, services.${service}.timeout when Rungs does.`,
  }),
  SYSTEMD_RELOAD_FAILED: ({ scope }: { scope: Scope }) => ({
    message: `${manager(scope)} did not read its unit files again (daemon-reload).`,
    hint: `Try "${shell(scope)} daemon-reload" by hand; it says what it does not understand.`,
  }),
  SYSTEMD_NOT_PUT_BACK: ({ service, unit, was, is }: Unit & { was: string; is: string }) => ({
    message: `The unit ${unit} of service ${service} was "${was}" before the upgrade and could not be made so again: it is "${is}".`,
    hint: 'Do it by hand with "systemctl enable", "disable", "mask" or "unmask", then "upgrade rollback" to end the run.',
  }),
} satisfies FailureRegistry;
