import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { until } from './until.ts';

const LogLine = Type.Object({ level: Type.String(), msg: Type.String(), port: Type.Optional(Type.Number()) });
type LogLine = Static<typeof LogLine>;

const SECONDS = 60;

export interface OperatorOptions {
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** The operator as a separate process, as in a pod. It ends with the test. */
export class OperatorProcess {
  readonly #child;
  readonly #lines: LogLine[] = [];
  /** All of its output. */
  output = '';

  constructor(t: Pick<Test, 'teardown'>, { args = [], environment = {} }: OperatorOptions) {
    const child = spawn(process.execPath, ['operator/main.ts', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...environment },
    });
    this.#child = child;
    createInterface(child.stdout).on('line', (line) => {
      this.output += `${line}\n`;
      const value: unknown = line.startsWith('{') ? JSON.parse(line) : null;
      if (Value.Check(LogLine, value)) this.#lines.push(value);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    t.teardown(() => this.end('SIGKILL'));
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits for the log line with this message. */
  logged(message: string): Promise<LogLine> {
    return until(
      `the operator logs ${JSON.stringify(message)}`,
      SECONDS,
      () => {
        const line = this.#lines.find(({ msg }) => msg === message);
        if (line === undefined && !this.isRunning) throw new Error(`the operator ended:\n${this.output}`);
        return line ?? null;
      },
      () => this.output,
    );
  }

  /** Suspends or resumes the process, or sends a signal for which the test has added a handler. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void {
    this.#child.kill(signal);
  }

  /** Sends a signal and waits for the end. Returns the exit code or the signal. */
  async end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number | string | null> {
    if (this.isRunning) {
      this.#child.kill(signal);
      await once(this.#child, 'close');
    }
    return this.ended();
  }

  /** Waits for the end. Returns the exit code or the signal. */
  async ended(): Promise<number | string | null> {
    if (this.isRunning) await once(this.#child, 'close');
    return this.#child.exitCode ?? this.#child.signalCode;
  }

  /** Its response over HTTP. */
  async get(path: string, token?: string): Promise<{ readonly status: number; readonly body: string }> {
    const { port } = await this.logged('serving');
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    return { status: response.status, body: await response.text() };
  }

  /** The value of a series in its metrics; null: there is none. */
  async metric(series: string): Promise<number | null> {
    const { body } = await this.get('/metrics');
    const line = body.split('\n').find((each) => each.startsWith(`${series} `));
    return line === undefined ? null : Number(line.slice(series.length + 1));
  }
}
