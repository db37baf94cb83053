import { availableParallelism, networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import type { Role } from '../../../crds/facts/role.ts';
import type { FedBiOTJob, FedBiOTJobSpec } from '../../../crds/types.ts';
import { IMAGE_EXAMPLES, MOUNT, PORT } from '../../cluster/pod.ts';
import type { Provider } from '../../engine/compute-protocol.ts';
import type { UriFolders } from '../job-manifest.ts';
import type { PodEnvironment } from './environment.ts';

/** The context, environment, job and log of a role. */
export interface Pod {
  readonly context: PodContext;
  readonly environment: PodEnvironment;
  readonly job: FedBiOTJob;
  readonly log: Logger;
}

/** The surroundings of a worker pod. Tests replace them. */
export interface PodContext {
  readonly folders: PodFolders;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** File that the kubelet reads when the container has terminated. */
  readonly terminationLog: string;
  /** Address to listen on, and the ports. */
  readonly host: string;
  readonly ports: Readonly<Record<keyof typeof PORT, number>>;
  readonly provider: Provider;
  /** Threads of each compute process. */
  readonly threads: number;
  /** How long each role waits at the start of its pod for a Redis that does not answer or refuses writes. */
  readonly redisPatienceMs: Readonly<Record<Role, number>>;
  /** How long after the death of a client pod its tasks go to other pods. */
  readonly lockMs: number;
  /** Aborts when the pod is told to stop. */
  readonly signal: AbortSignal;
}

type PodFolders = Readonly<
  Record<'job' | 'model' | 'publicData' | 'clientData' | 'output' | 'cache' | 'examples', string>
>;

export interface PodFlags {
  readonly provider: Provider;
  /** Undefined means as many as the pod's CPU limit allows. */
  readonly threads?: number;
}

/** The surroundings that the operator gives a pod (worker/cluster/pod.ts). */
export function podContext({ provider, threads }: PodFlags, signal: AbortSignal): PodContext {
  return {
    folders: { ...MOUNT, examples: IMAGE_EXAMPLES },
    variables: process.env,
    terminationLog: '/dev/termination-log',
    host: anyAddress(),
    ports: PORT,
    provider,
    // Node reports the CPU limit of the control group, rounded down.
    threads: threads ?? availableParallelism(),
    // The server gives up first, on behalf of the job. Clients are many and slow to restart, so they wait longer.
    redisPatienceMs: { server: 120_000, client: 3_600_000 },
    lockMs: 30_000,
    signal,
  };
}

/** The folders against which a job's relative paths are resolved in this pod. */
export function uriFolders({ volumes }: Pick<FedBiOTJobSpec, 'volumes'>, folders: PodFolders): UriFolders {
  const folderOf = (purpose: keyof UriFolders) =>
    volumes?.[purpose] === undefined ? folders.examples : folders[purpose];
  return { model: folderOf('model'), publicData: folderOf('publicData'), clientData: folderOf('clientData') };
}

/** The wildcard address: `::`, which also accepts IPv4, if the machine has IPv6. */
function anyAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((known) => known ?? []);
  return addresses.some(({ family }) => family === 'IPv6') ? '::' : '0.0.0.0';
}
