import type { Command } from 'commander';
import type { PodFlags } from '../run/pod/context.ts';
import { EXIT } from '../../crds/facts/exit-codes.ts';
import type { Role } from '../../crds/facts/role.ts';
import { positiveInteger, providerOption } from './arguments.ts';
import { listenForInterrupts } from './interrupts.ts';

/** The command `server`. */
export function registerServer(program: Command): void {
  registerRole(
    program,
    'server',
    'run the server of a job in a pod',
    'Holds the full model: aligns the emulator, sends tasks through Redis, aggregates the clients’ results and writes the adapter.',
  );
}

/** The command `client`. */
export function registerClient(program: Command): void {
  registerRole(
    program,
    'client',
    'train for the clients of a job in a pod',
    'Fetches the emulator from the server pod and trains the adapter on the clients’ data, task by task, until the job has finished.',
  );
}

/** Adds what both commands share: their options, and that they run in pods. */
function registerRole(program: Command, role: Role, summary: string, description: string): void {
  program
    .command(role)
    .summary(summary)
    .description(
      `${description} Runs in the pods that the operator creates, which provide the job, the environment and the volumes. On one machine, \`fedbiot run\` runs all roles.`,
    )
    .option(
      '--threads <n>',
      'threads of each compute process (default: the CPU limit of the pod, rounded down)',
      positiveInteger,
    )
    .addOption(providerOption())
    .addHelpText(
      'after',
      `
Example:
  $ fedbiot ${role} --threads 4

Adapters are bit-identical only if all compute processes have the same number of threads: give server and clients the same CPU limit.

Logs are JSON lines on stdout; /metrics, /healthz and /readyz are served on port 9464. Exit codes: ${EXIT.succeeded} the job has finished, ${EXIT.failed}
failure, retried, ${EXIT.invalid} failure that only the user can fix, ${EXIT.unavailable} Redis is unavailable, retried, ${EXIT.outOfMemory} out of memory,
${EXIT.interrupted} stopped by SIGTERM.`,
    )
    .action((flags: PodFlags) => roleCommand(role, flags));
}

async function roleCommand(role: Role, flags: PodFlags): Promise<void> {
  const stop = new AbortController();
  listenForInterrupts(stop, () => undefined);
  const [{ podContext }, { runRole }] = await Promise.all([
    import('../run/pod/context.ts'),
    import('../run/pod/role.ts'),
  ]);
  process.exit(await runRole(role, podContext(flags, stop.signal)));
}
