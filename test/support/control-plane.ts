import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  apiServerFlags,
  controllerFlags,
  kubeconfigOf,
  schedulerFlags,
  writeCredentials,
} from '../cluster/control-plane-flags.ts';
import { ensureKubernetes } from '../cluster/ensure.ts';
import { run } from '../cluster/run.ts';
import { freePort } from './redis.ts';
import { until } from './until.ts';

const CRD = join(import.meta.dirname, '../../crds/fedbiotjob.yaml');

export interface ControlPlaneOptions {
  /** Also start the controller manager and the scheduler, which create pods of Jobs and complete deletions. */
  readonly controllers?: boolean;
  /** File for one line of JSON per request, with metadata only. */
  readonly auditLog?: string;
}

/** A Kubernetes without nodes, with the kind FedBiOTJob. */
export interface ControlPlane {
  readonly url: string;
  /** Kubeconfig file of an administrator. */
  readonly kubeconfig: string;
  /** Folder for files of the test. It is removed with the control plane. */
  readonly folder: string;
  /** Process ids by program. */
  readonly pids: () => Readonly<Record<string, number>>;
  /** Runs kubectl as an administrator, with `input` on stdin, and returns its output. Throws with its error output. */
  kubectl(args: readonly string[], input?: string | object): Promise<string>;
  /** Kubeconfig file for the holder of a token, with the API server's address or another address that leads to it. */
  kubeconfigFor(token: string, url?: string): string;
  /** Kills the API server. The stored objects remain. */
  stop(): Promise<void>;
  /** Starts the API server again at the same address. */
  start(): Promise<void>;
  /** Makes etcd forget all history. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

const found = await ensureKubernetes();
const lacks = (...programs: readonly string[]): string | false => {
  if ('skip' in found) return `SKIPPED: ${found.skip}`;
  const missing = programs.filter((program) => !existsSync(join(found.folder, program)));
  return missing.length === 0 ? false : `SKIPPED: ${found.folder} has no ${missing.join(', ')}`;
};

/** The reason why no API server can be started; false if one can. */
export const noApiServer: string | false = lacks('etcd', 'kube-apiserver', 'kubectl');

/** The reason why no controllers can be started; false if they can. */
export const noControllers: string | false = noApiServer || lacks('kube-controller-manager', 'kube-scheduler');

/** Seconds that a program may take to respond on a busy machine. */
const PATIENCE = 120;

export async function startControlPlane({
  controllers = false,
  auditLog,
}: ControlPlaneOptions = {}): Promise<ControlPlane> {
  if ('skip' in found) throw new Error(found.skip);
  const programs = found.folder;
  const folder = mkdtempSync(join(tmpdir(), 'fedbiot-kubernetes-'));
  const pki = join(folder, 'pki');
  const logs = join(folder, 'logs');
  for (const each of [pki, logs]) mkdirSync(each);
  const [port, etcdPort, peerPort] = [await freePort(), await freePort(), await freePort()];
  const url = `https://127.0.0.1:${port}`;
  const etcd = `http://127.0.0.1:${etcdPort}`;
  const token = randomBytes(16).toString('hex');
  writeCredentials(pki, token);
  const auditPolicy = join(folder, 'audit.json');
  writeFileSync(auditPolicy, JSON.stringify(AUDIT_POLICY));

  const running = new Map<string, ChildProcess>();
  const launch = (program: string, args: readonly string[]) => {
    const log = openSync(join(logs, `${program}.log`), 'a');
    running.set(program, spawn(join(programs, program), args, { stdio: ['ignore', log, log] }));
    closeSync(log);
  };
  const end = async (program: string, signal: NodeJS.Signals) => {
    const child = running.get(program);
    running.delete(program);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  };
  /** Resolves to the answer once there is one. Rejects at once if the program has ended. */
  const awaited = (what: string, ask: () => Promise<unknown>) =>
    until(what, PATIENCE, async () => {
      for (const [program, { exitCode, signalCode }] of running) {
        if (exitCode === null && signalCode === null) continue;
        const log = readFileSync(join(logs, `${program}.log`), 'utf8')
          .trimEnd()
          .split('\n')
          .slice(-20)
          .join('\n');
        throw new Error(`${program} ended with ${signalCode ?? `exit code ${exitCode}`}\n${log}`);
      }
      return await ask().then(
        () => true,
        () => null,
      );
    });

  const kubeconfigFor = (bearer: string, at = url) => {
    const file = join(folder, `${randomBytes(4).toString('hex')}.kubeconfig`);
    writeFileSync(file, JSON.stringify(kubeconfigOf(at, pki, bearer)), { mode: 0o600 });
    return file;
  };
  const kubeconfig = kubeconfigFor(token);
  const kubectl = (args: readonly string[], input?: string | object) =>
    run(join(programs, 'kubectl'), [`--kubeconfig=${kubeconfig}`, ...args], {
      ...(input === undefined ? {} : { input: typeof input === 'string' ? input : JSON.stringify(input) }),
    });

  const start = async () => {
    launch('kube-apiserver', [
      ...apiServerFlags({ pki, address: '127.0.0.1', port, etcd }),
      // No controller creates the ServiceAccount that pods need.
      ...(controllers ? [] : ['--disable-admission-plugins=ServiceAccount']),
      ...(auditLog === undefined ? [] : [`--audit-log-path=${auditLog}`, `--audit-policy-file=${auditPolicy}`]),
    ]);
    await awaited('the API server is ready', () => kubectl(['get', '--raw', '/readyz']));
  };
  const close = async () => {
    // Clients end first, so that they do not log errors about missing servers.
    for (const program of ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver', 'etcd'])
      await end(program, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  };

  try {
    launch('etcd', etcdFlags(join(folder, 'etcd'), etcd, `http://127.0.0.1:${peerPort}`));
    await start();
    await kubectl(['create', '--filename', CRD]);
    // kubectl fails for a definition that has no conditions yet.
    await awaited('the definition is established', () =>
      kubectl(['wait', '--for=condition=Established', '--timeout=60s', '--filename', CRD]),
    );
    await awaited('FedBiOTJobs are served', () => kubectl(['get', 'fedbiotjobs']));
    if (controllers) {
      launch('kube-controller-manager', controllerFlags(pki, kubeconfig));
      launch('kube-scheduler', schedulerFlags(kubeconfig));
      await awaited('the controllers run', () => kubectl(['get', 'serviceaccount', 'default']));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url,
    kubeconfig,
    folder,
    pids: () =>
      Object.fromEntries([...running].flatMap(([program, { pid }]) => (pid === undefined ? [] : [[program, pid]]))),
    kubectl,
    kubeconfigFor,
    stop: () => end('kube-apiserver', 'SIGKILL'),
    start,
    compact: () => compact(etcd),
    close,
  };
}

const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata' }],
};

const etcdFlags = (data: string, client: string, peer: string) => [
  '--name=lab',
  `--data-dir=${data}`,
  `--listen-client-urls=${client}`,
  `--advertise-client-urls=${client}`,
  `--listen-peer-urls=${peer}`,
  `--initial-advertise-peer-urls=${peer}`,
  `--initial-cluster=lab=${peer}`,
  '--unsafe-no-fsync',
  '--log-level=warn',
];

/** Uses etcd's HTTP API, in which numbers are strings. */
async function compact(etcd: string): Promise<void> {
  const post = async (path: string, body: object) => {
    const response = await fetch(`${etcd}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd: ${path}: ${await response.text()}`);
    return await response.text();
  };
  const { revision } =
    /"revision":\s*"(?<revision>\d+)"/.exec(await post('range', { key: Buffer.from('none').toString('base64') }))
      ?.groups ?? {};
  if (revision === undefined) throw new Error('etcd tells no revision');
  await post('compaction', { revision, physical: true });
}
