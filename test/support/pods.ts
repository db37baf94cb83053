import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { PodContext } from '../../worker/run/pod/context.ts';
import { runJobInProcess } from '../../worker/run/embedded-run.ts';
import type { Role } from '../../crds/facts/role.ts';
import { freePort } from './redis.ts';

const CHILD = fileURLToPath(new URL('role-child.ts', import.meta.url));
const QUICKSTART = fileURLToPath(new URL('../../examples/quickstart/', import.meta.url));

/** Longer than the interval at which locks are renewed, and short enough for tests. */
const LOCK_MS = 2_000;

/** The quickstart's model and data with short rounds. Paths start at one folder, or at one volume each. */
const SPEC = {
  seed: 3,
  model: { uri: 'model' },
  data: {
    train: { uri: 'train.jsonl' },
    public: { uri: 'public.jsonl' },
    eval: { uri: 'eval.jsonl' },
    partition: { kind: 'Dirichlet', alpha: 1 },
  },
  emulator: { layerDropRate: 0.5, alignment: { initialSteps: 6, stepsPerRound: 3 } },
  federation: { rounds: 3, clients: 4, dropoutRate: 0.2, local: { steps: 30, batchSize: 8 } },
  evaluation: { task: 'qa', maxNewTokens: 8, limit: 10, everyRounds: 0 },
  volumes: {
    model: { hostPath: { path: '/model' } },
    publicData: { hostPath: { path: '/public' } },
    clientData: { hostPath: { path: '/client' } },
  },
};

const manifest = (spec: object) =>
  JSON.stringify({
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name: 'pods', namespace: 'lab' },
    spec: { ...SPEC, ...spec },
  });

/**
 * Runs the job in this process, with all inputs in one folder.
 * @returns the adapter's SHA-256
 */
export async function runWholeJob(folder: string): Promise<string | null> {
  cpSync(join(QUICKSTART, 'model'), join(folder, 'model'), { recursive: true });
  cpSync(join(QUICKSTART, 'data'), folder, { recursive: true });
  const job = join(folder, 'job.json');
  writeFileSync(job, manifest({}));
  const { signal } = new AbortController();
  const options = {
    job,
    out: join(folder, 'out'),
    resume: false,
    workers: 1,
    threads: 1,
    provider: 'cpu',
    force: false,
    verify: false,
    cache: null,
    trace: null,
    signal,
    onEvent: () => {},
  } as const;
  const result = await runJobInProcess(options);
  if (result.outcome !== 'succeeded') throw new Error('the run was interrupted');
  return result.report.adapterSha256;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The JSON in the file; an empty text if nothing was written. */
  readonly termination: string;
  readonly output: string;
}

/** A worker pod as a process with its own folders and environment. */
export interface RunningPod {
  /**
   * Waits for the first log line with this message.
   * @throws if the process ends first
   */
  says(what: RegExp, fields?: Readonly<Record<string, unknown>>): Promise<LogLine>;
  kill(signal: NodeJS.Signals): void;
  /**
   * Kills its compute processes.
   * @returns the number of killed processes
   */
  killComputes(): number;
  readonly ended: Promise<Ended>;
  readonly ports: PodContext['ports'];
}

export interface PodOptions {
  /** Sections of the spec that replace those of the job in this pod. */
  readonly spec?: object;
  readonly variables?: Readonly<Record<string, string>>;
  readonly context?: Partial<PodContext>;
  /** Shell commands before the process, such as limits. */
  readonly setup?: string;
}

/** A job on a cluster: folders in place of its volumes, and pods that mount only the folders of their role. */
export class JobPods {
  readonly uid = randomUUID();
  readonly token = `token-${randomUUID()}`;
  readonly output: string;
  readonly #t: Test;
  readonly #root: string;
  readonly #redisUrl: string;
  readonly #bundlePort: number;
  #count = 0;

  private constructor(t: Test, root: string, redisUrl: string, bundlePort: number) {
    this.#t = t;
    this.#root = root;
    this.#redisUrl = redisUrl;
    this.#bundlePort = bundlePort;
    this.output = join(root, 'output');
  }

  static async create(t: Test, redisUrl: string): Promise<JobPods> {
    const root = t.testdir({ output: {}, public: {}, client: {}, empty: {} });
    cpSync(join(QUICKSTART, 'model'), join(root, 'model/model'), { recursive: true });
    for (const name of ['public', 'eval'])
      cpSync(join(QUICKSTART, `data/${name}.jsonl`), join(root, `public/${name}.jsonl`));
    cpSync(join(QUICKSTART, 'data/train.jsonl'), join(root, 'client/train.jsonl'));
    return new JobPods(t, root, redisUrl, await freePort());
  }

  start(role: Role, options: PodOptions = {}): Promise<RunningPod> {
    return this.#start(role, `${role}-${++this.#count}`, options);
  }

  /** SHA-256 of the finished adapter. */
  adapterSha256(): unknown {
    const report: { adapterSha256?: unknown } = JSON.parse(readFileSync(join(this.output, 'report.json'), 'utf8'));
    return report.adapterSha256;
  }

  async #start(
    role: Role,
    name: string,
    { spec = {}, variables = {}, context = {}, setup = '' }: PodOptions,
  ): Promise<RunningPod> {
    const folder = join(this.#root, name);
    const at = (path: string) => join(this.#root, path);
    mkdirSync(join(folder, 'job'), { recursive: true });
    mkdirSync(join(folder, 'cache'));
    writeFileSync(join(folder, 'job/job.json'), manifest(spec));
    const own =
      role === 'server'
        ? { model: at('model'), publicData: at('public'), output: this.output }
        : { clientData: at('client'), cache: join(folder, 'cache') };
    const nothing = {
      model: at('empty'),
      publicData: at('empty'),
      clientData: at('empty'),
      output: at('empty'),
      cache: at('empty'),
      examples: at('empty'),
    };
    const terminationLog = join(folder, 'termination-log');
    writeFileSync(terminationLog, '');
    const surroundings: Partial<PodContext> = {
      folders: { ...nothing, ...own, job: join(folder, 'job') },
      variables: {
        FEDBIOT_REDIS_URL: this.#redisUrl,
        FEDBIOT_JOB_TOKEN: this.token,
        FEDBIOT_JOB_UID: this.uid,
        FEDBIOT_JOB_NAMESPACE: 'lab',
        FEDBIOT_POD_NAME: name,
        FEDBIOT_SERVER_URL: `http://127.0.0.1:${this.#bundlePort}`,
        ...variables,
      },
      terminationLog,
      host: '127.0.0.1',
      ports: { bundle: this.#bundlePort, metrics: await freePort() },
      redisPatienceMs: { server: 20_000, client: 20_000 },
      lockMs: LOCK_MS,
      ...context,
    };
    return watch(this.#t, role, surroundings, terminationLog, setup);
  }
}

function watch(
  t: Test,
  role: Role,
  surroundings: Partial<PodContext>,
  terminationLog: string,
  setup: string,
): RunningPod {
  const command = [process.execPath, CHILD, role, JSON.stringify(surroundings)];
  const child = spawn('bash', ['-c', `${setup}\nexec "$@"`, 'bash', ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  const lines: (LogLine | null)[] = [];
  const listeners = new Set<(line: LogLine | null) => void>();
  /** Null: no more lines follow. */
  const tell = (line: LogLine | null) => {
    lines.push(line);
    for (const listener of [...listeners]) listener(line);
  };
  createInterface({ input: child.stdout }).on('line', (text) => {
    output += `${text}\n`;
    tell(JSON.parse(text));
  });
  const ended = once(child, 'close').then((): Ended => {
    tell(null);
    return {
      code: child.exitCode,
      signal: child.signalCode,
      termination: readFileSync(terminationLog, 'utf8'),
      output,
    };
  });
  return {
    ended,
    ports: { bundle: 0, metrics: 0, ...surroundings.ports },
    kill: (signal) => void child.kill(signal),
    killComputes: () => {
      const computes = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === child.pid);
      for (const pid of computes) process.kill(Number(pid), 'SIGKILL');
      return computes.length;
    },
    says: (what, fields = {}) =>
      new Promise((resolve, reject) => {
        const listener = (line: LogLine | null) => {
          const fits =
            line !== null &&
            what.test(line.msg) &&
            Object.entries(fields).every(([name, value]) => line[name] === value);
          if (line !== null && !fits) return;
          listeners.delete(listener);
          if (line === null) reject(new Error(`the ${role} ended before it said ${String(what)}:\n${output}`));
          else resolve(line);
        };
        listeners.add(listener);
        for (const line of lines) if (listeners.has(listener)) listener(line);
      }),
  };
}

/** For a process id; null if the process has just ended. */
function parentOf(pid: string): number | null {
  try {
    return Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return null;
  }
}
