/**
 * Names of a job's keys in Redis. All of a job's keys share the hash tag {uid}, so that they are on one node of a Redis
 * Cluster and MULTI and scripts work. The uid distinguishes jobs of the same name in two namespaces, and a job from an
 * earlier one of the same name.
 */
export interface JobKeys {
  /** Prefix of the queues `tasks`, which is BullMQ's, and `results`. */
  readonly prefix: string;
  /** JSON of JobProgress (crds/facts/progress.ts). */
  readonly progress: string;
  /** JSON of report.json as it stands after the last finished round. */
  readonly report: string;
  /** JSON {sha256, bytes} of the emulator bundle's manifest. */
  readonly bundle: string;
  /** Fencing token of the newest server pod. */
  readonly fence: string;
  /** The result that the server took last. */
  readonly taken: string;
  /** Exists once the job is over: clients leave. */
  readonly finished: string;
  /** `<ended>:<round>-<attempt>` exists once a round has ended and its deliveries are withdrawn. */
  readonly ended: string;
  /** Exists while an operator maintains the job's users in its Redis. */
  readonly users: string;
  /** Tensor bytes: `<tensors>:<name>:<chunk>`. */
  readonly tensors: string;
}

export function jobKeys(uid: string): JobKeys {
  const prefix = `fedbiot:{${uid}}`;
  const key = (name: string) => `${prefix}:${name}`;
  return {
    prefix,
    progress: key('progress'),
    report: key('report'),
    bundle: key('bundle'),
    fence: key('fence'),
    taken: key('taken'),
    finished: key('finished'),
    ended: key('ended'),
    users: key('users'),
    tensors: key('tensors'),
  };
}

/** Names of a job's queues, after the prefix. Clients take tasks and add results: they write to both. */
export const QUEUE = { tasks: 'tasks', results: 'results' } as const;

/** Prefixes of tensor names: only the server writes round packages, only clients write results. */
export const TENSOR = { package: 'round-', result: 'result-' } as const;

/**
 * Channel on which a server pod announces that its progress has changed; the message is the job's `namespace/name`.
 */
export const PROGRESS_CHANNEL = 'fedbiot:progress';

/** Prefix of the sets in which operators' Redis remember uids of jobs, one set for each installation. */
export const JOB_REGISTRY = 'fedbiot:jobs';

/**
 * TTL, in seconds, of a job's keys after their last change, if nobody removes them. A server pod renews those that its
 * job still needs.
 */
export const KEYS_TTL_SECONDS = 7 * 24 * 3600;
