import type { Command } from 'commander';
import { registerRole } from './role.ts';

export function register(program: Command): void {
  registerRole(
    program,
    'server',
    'be the server of a job, in a pod',
    'Holds the full model: aligns the emulator, hands out tasks through Redis, aggregates what clients send, and writes the adapter.',
  );
}
