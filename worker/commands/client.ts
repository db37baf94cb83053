import type { Command } from 'commander';
import { registerRole } from './role.ts';

export function register(program: Command): void {
  registerRole(
    program,
    'client',
    'train for the clients of a job, in a pod',
    'Fetches the emulator from the server pod, and trains the adapter on the clients’ data, task by task, until the job is over.',
  );
}
