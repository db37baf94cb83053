import type { Command } from 'commander';
import type { PodFlags } from '../run/pod/context.ts';
import type { Role } from '../../crds/facts/role.ts';
import { positiveInteger, providerOption } from './arguments.ts';
import { listenForInterrupts } from './interrupts.ts';

/** Adds what the commands of both roles have in common: options, and that they run in pods. */
export function registerRole(program: Command, role: Role, summary: string, description: string): void {
  program
    .command(role)
    .summary(summary)
    .description(
      `${description} For the pods that the operator makes: job, environment and volumes are where it puts them. On one machine, \`fedbiot run\` plays all roles.`,
    )
    .option(
      '--threads <n>',
      'threads of each compute process (default: the CPUs of the pod’s limit, rounded down)',
      positiveInteger,
    )
    .addOption(providerOption())
    .addHelpText(
      'after',
      `
Example:
  $ fedbiot ${role} --threads 4

An adapter is the same to the bit only where all compute processes have as many threads: give server and clients the same CPU limit.

Logs are lines of JSON on stdout; /metrics, /healthz and /readyz are on port 9464. Exit codes: 0 the job is over, 1 tried again, 2 only
the user can change it, 69 Redis is away or takes nothing, tried again, 130 ended by SIGTERM.`,
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
