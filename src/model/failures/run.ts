// What goes wrong around a run: the lock, the journal, unfinished runs, cancelling, and bugs of ours.
import type { FailureRegistry } from '../failure.ts';

export const runFailures = {
  INTERNAL: ({ error }: { error: string }) => ({
    message: `Rungs met an error that it has no name for: ${error}`,
    hint: 'This is a bug of ours: run the command again with -v and report what it prints. The journal stays resumable: "upgrade status" tells where it stands.',
  }),
  LOCK_HELD: ({ holder, phase, since }: { holder: string; phase: string | null; since: string | null }) => ({
    message: `Another run holds the lock: ${holder}${phase === null ? '' : `, in phase ${phase}`}${since === null ? '' : `, since ${since}`}.`,
    hint: 'Wait for it to end; "upgrade status" shows it, "upgrade follow" watches it. The lock is free the moment that process is gone.',
  }),
  JOURNAL_CORRUPT: ({ file, reason }: { file: string; reason: string }) => ({
    message: `The journal ${file} cannot be read: ${reason}.`,
    hint: 'It was left as it is. Keep a copy of the state folder as evidence; put the journal back from a copy of the state folder, or look at the backups beside it with "tar --zstd -tf".',
  }),
  JOURNAL_MISSING: ({ file, found }: { file: string; found: string }) => ({
    message: `There is no journal ${file}, but ${found} tells that there was one.`,
    hint: 'Rungs does not start anew over the traces of earlier runs. Put the journal back from a copy of the state folder, or move the whole state folder aside once you know that no run was unfinished.',
  }),
  JOURNAL_NEWER: ({ file, found, known }: { file: string; found: number; known: number }) => ({
    message: `The journal ${file} was written by a newer Rungs (journal version ${found}; this one knows ${known}).`,
    hint: 'Use the newer Rungs for this installation.',
  }),
  JOURNAL_GONE: ({ file }: { file: string }) => ({
    message: `The journal ${file} was deleted or replaced while the run was going on: a step, or somebody, removed it.`,
    hint: 'The run stopped where it was and cannot be resumed without its journal. Put the state folder back from a copy and run "upgrade rollback", or set the installation back from a backup that is left.',
  }),
  JOURNAL_WRITE_FAILED: ({ file, reason }: { file: string; reason: string }) => ({
    message: `The journal ${file} could not be written: ${reason}.`,
    hint: 'Nothing more was done. See to the disk (or the server) that it lies on, then run "upgrade resume".',
  }),
  JOURNAL_LOST_LOCK: ({ server, reason }: { server: string; reason: string }) => ({
    message: `The lock between the hosts, at ${server}, was lost while the run was going on: ${reason}.`,
    hint: 'The run stopped where it was and wrote nothing more. "upgrade status" shows whether another host has taken it up; if none has, run "upgrade resume".',
  }),
  RUN_ELSEWHERE: ({ step, host }: { step: string; host: string }) => ({
    message: `Step ${step} ran on host ${host}: what it changed in files is recorded there alone and cannot be undone from here.`,
    hint: `Run "upgrade rollback" on ${host}. If that host is gone for good, set back by hand what the step changed outside of databases.`,
  }),
  STEP_MAY_STILL_RUN: ({ step, host }: { step: string; host: string }) => ({
    message: `Step ${step} was running on host ${host} when its run was cut off; whether it still runs there cannot be seen from here.`,
    hint: `See on ${host} that it has ended (or that the host is off), then run "upgrade resume" by hand, on any host.`,
  }),
  RUN_UNFINISHED: ({
    id,
    from,
    to,
    phase,
    course,
  }: {
    id: string;
    from: string | null;
    to: string | null;
    phase: string;
    course: string;
  }) => ({
    message: `Run ${id} (${from === to ? 'of ladders' : `${from} → ${to}`}) is unfinished: it stopped in phase ${phase}${course === 'backwards' ? ', while rolling back' : ''}.`,
    hint: '"upgrade resume" finishes it, "upgrade rollback" undoes it.',
  }),
  NO_UNFINISHED_RUN: () => ({
    message: 'There is no unfinished run.',
    hint: '"upgrade status" shows what is installed, "upgrade history" what was run.',
  }),
  RUN_UNKNOWN: ({ id }: { id: string }) => ({
    message: `There is no run ${id}.`,
    hint: '"upgrade history" lists all runs.',
  }),
  RUN_STRANDED: ({ id }: { id: string }) => ({
    message: `Run ${id} is stranded: its rollback could not be completed.`,
    hint: `"upgrade history ${id}" shows what is safe and what is not. When the cause is mended, "upgrade rollback" tries again; "upgrade backup restore ID" goes back to another backup.`,
  }),
  RUN_ROLLING_BACK: ({ id }: { id: string }) => ({
    message: `Run ${id} is already rolling back and cannot go forward.`,
    hint: 'Leave out --only-forward: "upgrade resume" finishes the rollback.',
  }),
  ROLLBACK_NEEDED: ({ step }: { step: string }) => ({
    message: `Step ${step} was interrupted and cannot be run again: it is not idempotent, and nothing tells what it did.`,
    hint: 'Leave out --only-forward, or use "upgrade rollback", to put everything back.',
  }),
  STEP_IN_DOUBT: ({ step }: { step: string }) => ({
    message: `Step ${step} was interrupted: whether it took effect is not known, and it does not say that it may be run again.`,
    hint: 'Give the step a check(), or "idempotent: true" if it may run twice. This run goes back to where it began.',
  }),
  CANCELLED: ({ signal }: { signal: string }) => ({
    message: `The run was asked to stop (${signal}).`,
    hint: 'Run the same command again when you are ready.',
  }),
  RUN_TIMED_OUT: ({ limit }: { limit: string }) => ({
    message: `The run took longer than timeouts.total allows (${limit}).`,
    hint: 'Raise timeouts.total in upgrade.yaml (on boot: boot.timeout, or MIGRATION_TIMEOUT_MS), or find out with "upgrade history" which step took so long.',
  }),
  TOO_MANY_ATTEMPTS: ({ id, attempts }: { id: string; attempts: number }) => ({
    message: `Run ${id} was taken up ${attempts} times and did not come to its end.`,
    hint: 'Find out what kills it (memory, disk, a watchdog), then run "upgrade rollback" once more: it may always be asked for by hand.',
  }),
  PLAN_CHANGED: ({ expected, actual }: { expected: string; actual: string }) => ({
    message: `The plan is not the expected one: expected ${expected}, got ${actual}.`,
    hint: 'Look at "upgrade plan" again; the migrations, the installed version or the target have changed since.',
  }),
  PLAN_FILES_CHANGED: ({ files }: { files: readonly string[] }) => ({
    message: `The migrations changed after the plan was made: ${files.join(', ')}.`,
    hint: 'Nobody may edit migrations while an upgrade runs. Run the upgrade again.',
  }),
  PLAN_LOST: ({ file, run, reason }: { file: string; run: string; reason: string }) => ({
    message: `The plan of run ${run} in ${file} cannot be used: ${reason}.`,
    hint: `Put the file back from a copy of the state folder. Or set the installation back by hand: "upgrade backup restore ${run}".`,
  }),
  VERSION_CHANGED: ({ expected, actual }: { expected: string; actual: string }) => ({
    message: `The installed version changed while the run was being prepared: it was ${expected}, it is ${actual}.`,
    hint: 'Something else writes the version. Find out what, then run the upgrade again.',
  }),
  APPLIED_STEP_EDITED: ({ step, run }: { step: string; run: string }) => ({
    message: `Step ${step} was edited after run ${run} applied it.`,
    hint: 'Put the file back as it was and make a new step for the change.',
  }),
  STATE_NOT_WRITABLE: ({ path, reason }: { path: string; reason: string }) => ({
    message: `${path} cannot be written: ${reason}.`,
    hint: 'Run Rungs as the user who owns the installation, and check that the file system is not mounted read-only.',
  }),
  DISK_TOO_SMALL: ({ path, neededBytes, freeBytes }: { path: string; neededBytes: number; freeBytes: number }) => ({
    message: `${path} has ${megabytes(freeBytes)} free; backup, working copies and the steps' own demands need ${megabytes(neededBytes)}.`,
    hint: 'Free space, put backup.dir on another disk, or exclude what need not be backed up.',
  }),
  MEMORY_TOO_SMALL: ({ transition, neededBytes, freeBytes }: { transition: string; neededBytes: number; freeBytes: number }) => ({
    message: `${transition} requires ${megabytes(neededBytes)} of memory, and ${megabytes(freeBytes)} are free.`,
    hint: 'Stop what uses memory, or give the machine more.',
  }),
  COMMAND_MISSING: ({ command, neededBy }: { command: string; neededBy: string }) => ({
    message: `The command "${command}" is not there; ${neededBy} needs it.`,
    hint: `Install "${command}", or put it on the PATH.`,
  }),
  ENV_MISSING: ({ name, neededBy }: { name: string; neededBy: string }) => ({
    message: `The environment variable ${name} is not set; ${neededBy} requires it.`,
    hint: `Set ${name} and run the command again.`,
  }),
  REQUIRED_SERVICE_DOWN: ({ service, neededBy }: { service: string; neededBy: string }) => ({
    message: `Service ${service} is not running; ${neededBy} requires it.`,
    hint: `Start ${service} first.`,
  }),
  STEP_CANNOT_BE_UNDONE: ({ steps }: { steps: readonly string[] }) => ({
    message:
      steps.length === 1
        ? `Step ${steps[0]} has no backward: a failure after it is undone from the backup alone.`
        : `${steps.length} steps have no backward (${steps.slice(0, 3).join(', ')}${steps.length > 3 ? ' …' : ''}): a failure after them is undone from the backup alone.`,
    hint: `Give ${steps.length === 1 ? 'it a backward if it changes' : 'them a backward if they change'} anything that the backup does not hold.`,
  }),
  METRICS_FAILED: ({ file, why }: { file: string; why: string }) => ({
    message: `The metrics could not be written to ${file}: ${why}.`,
    hint: 'Make the folder, and let whoever runs "upgrade" write there; or correct metrics.textfile in upgrade.yaml.',
  }),
  NOTIFY_FAILED: ({ name, run, why, attempts, isOver }: { name: string; run: string; why: string; attempts: number; isOver: boolean }) => ({
    message: `${name} could not be told about run ${run}: ${why} (attempt ${attempts}).`,
    hint: isOver
      ? 'It was given up. Correct "notify" in upgrade.yaml; "upgrade notify test" tries it.'
      : 'It is tried again by the next run and by "upgrade serve". "upgrade notify send" tries it now.',
  }),
  VERIFY_FAILED: ({ what }: { what: readonly string[] }) => ({
    message: `The new version did not pass its checks: ${what.join('; ')}.`,
    hint: 'The upgrade is put back. See the service’s log for the cause.',
  }),
  ROLLBACK_INCOMPLETE: ({ what }: { what: readonly string[] }) => ({
    message: `The old state could not be put back: ${what.join('; ')}.`,
    hint: 'Nothing was deleted. Mend what the message names, then run "upgrade rollback" again.',
  }),
  NO_BACKUP_TO_RESTORE: ({ run }: { run: string }) => ({
    message: `Run ${run} has no verified backup, and its changes could not be undone step by step.`,
    hint: 'Nothing was deleted; "upgrade history" shows which steps took effect.',
  }),
  BACKUP_UNKNOWN: ({ id }: { id: string }) => ({
    message: `There is no backup ${id}.`,
    hint: '"upgrade backup list" shows all backups.',
  }),
  RUN_INSIDE_SERVICE: ({ service }: { service: string }) => ({
    message: `This process is a part of service ${service}, which the run restarts: it would be ended in the middle of it.`,
    hint: 'Start the run in a process of its own, with "upgrade --detach" or UpdateManager.start(): that needs systemd-run, as root, or as a user who lingers ("loginctl enable-linger"). Or run "upgrade" from a shell.',
  }),
  RUN_INSIDE_CONTAINER: ({ service }: { service: string }) => ({
    message: `This process runs inside the container of service ${service}, which the run stops: whatever is started in it ends with it.`,
    hint: 'Run "upgrade" on the host, or in a container of its own that has the installation and the engine’s socket mounted.',
  }),
  NOTHING_TO_START: ({ product, version }: { product: string; version: string | null }) => ({
    message: `There is no run to start: ${product} ${version === null ? 'has nothing pending' : `is at ${version} already`}.`,
    hint: 'Look at "upgrade status" before a run is started; "upgrade plan --to VERSION" shows the way to another version.',
  }),
  HANDOVER_UNUSABLE: ({ file, reason }: { file: string; reason: string }) => ({
    message: `The run that was handed over in ${file} cannot be read: ${reason}.`,
    hint: 'Nothing was begun. Start the run again; the file may be deleted.',
  }),
  DETACHED_RUN_DID_NOT_START: ({ reason }: { reason: string }) => ({
    message: `The run in a process of its own did not start: ${reason}.`,
    hint: 'Run the same command without --detach to see why.',
  }),
} satisfies FailureRegistry;

function megabytes(bytes: number): string {
  return bytes < 10_000_000 ? `${(bytes / 1_000_000).toFixed(1)} MB` : `${Math.round(bytes / 1_000_000)} MB`;
}
