import { availableParallelism, networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import type { Role } from '../../../crds/facts/role.ts';
import type { FedBiOTJob, FedBiOTJobSpec } from '../../../crds/types.ts';
import { IMAGE_EXAMPLES, MOUNT, PORT } from '../../cluster/pod.ts';
import type { Provider } from '../../engine/compute-protocol.ts';
import type { UriFolders } from '../job-manifest.ts';
import type { PodEnvironment } from './environment.ts';

/** What a role works with. */
export interface Pod {
  readonly context: PodContext;
  readonly environment: PodEnvironment;
  readonly job: FedBiOTJob;
  readonly log: Logger;
}

/** What a worker pod is surrounded by. Tests surround it by something else. */
export interface PodContext {
  readonly folders: PodFolders;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** File that the kubelet reads when the container has ended. */
  readonly terminationLog: string;
  /** Address to listen on, and the ports. */
  readonly host: string;
  readonly ports: Readonly<Record<keyof typeof PORT, number>>;
  readonly provider: Provider;
  /** Threads of each compute process. */
  readonly threads: number;
  /** How long each role waits for a Redis that does not answer, or takes nothing, when its pod starts. */
  readonly redisPatienceMs: Readonly<Record<Role, number>>;
  /** How long after a client pod has died its tasks go to others. */
  readonly lockMs: number;
  /** Aborts when the pod is told to end. */
  readonly signal: AbortSignal;
}

type PodFolders = Readonly<
  Record<'job' | 'model' | 'publicData' | 'clientData' | 'output' | 'cache' | 'examples', string>
>;

export interface PodFlags {
  readonly provider: Provider;
  /** Undefined: as many as the pod's CPU limit allows. */
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
    // Node counts the CPUs that the control group's limit allows, rounded down.
    threads: threads ?? availableParallelism(),
    // The server ends for all: clients that end are many, and long in coming back.
    redisPatienceMs: { server: 120_000, client: 3_600_000 },
    lockMs: 30_000,
    signal,
  };
}

/** Where the relative paths of a job start in this pod. */
export function uriFolders({ volumes }: Pick<FedBiOTJobSpec, 'volumes'>, folders: PodFolders): UriFolders {
  const folderOf = (purpose: keyof UriFolders) =>
    volumes?.[purpose] === undefined ? folders.examples : folders[purpose];
  return { model: folderOf('model'), publicData: folderOf('publicData'), clientData: folderOf('clientData') };
}

/** All addresses of this machine; `::` takes IPv4 as well, where there is IPv6 at all. */
function anyAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((known) => known ?? []);
  return addresses.some(({ family }) => family === 'IPv6') ? '::' : '0.0.0.0';
}
