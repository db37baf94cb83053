import { spawn } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** The program's standard input. */
  readonly input?: string;
}

/** Runs a program to its end and returns its stdout; throws with its stderr. */
export function run(program: string, args: readonly string[], { input, ...options }: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-20_000)));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ${args.slice(0, 3).join(' ')}: ${signal ?? `exit code ${code}`}\n${errors}`));
    });
    // If the program ends without reading its input, its exit code and stderr say why.
    child.stdin.on('error', () => undefined).end(input ?? '');
  });
}
