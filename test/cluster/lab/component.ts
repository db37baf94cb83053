import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A program of the lab, which ends with the lab. */
export interface Component {
  readonly name: string;
  /** Throws, with the end of its log, if it has ended. */
  check(): void;
  logTail(): string;
}

/** Relevant lines of a log. */
const TAIL = 40;

export function startComponent(logs: string, name: string, program: string, args: readonly string[]): Component {
  const log = join(logs, `${name}.log`);
  const output = openSync(log, 'a');
  const child = spawn(program, args, { stdio: ['ignore', output, output] });
  closeSync(output);
  // Does not keep the test process alive.
  child.unref();
  let ended: string | null = null;
  child.on('error', (error) => (ended = error.message));
  child.on('exit', (code, signal) => (ended = `it ended with ${signal ?? `exit code ${code}`}`));
  const logTail = () => readFileSync(log, 'utf8').trimEnd().split('\n').slice(-TAIL).join('\n');
  return {
    name,
    logTail,
    check: () => {
      if (ended !== null) throw new Error(`${name}: ${ended}\n${logTail()}`);
    },
  };
}
