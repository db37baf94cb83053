/**
 * Names that the operator and worker pods must agree on, and nothing else. This file imports nothing, so that the
 * operator's image needs no engine.
 */

/** Mount paths of a worker pod. A role sees only what it mounts. */
export const MOUNT = {
  /** ConfigMap with `JOB_FILE`. Both roles. */
  job: '/etc/fedbiot/job',
  /** spec.volumes.model: server only. */
  model: '/fedbiot/model',
  /** spec.volumes.publicData, for data.public and data.eval: server only. */
  publicData: '/fedbiot/public-data',
  /** spec.volumes.clientData, for data.train: clients only. */
  clientData: '/fedbiot/client-data',
  /** spec.volumes.output: checkpoints, metrics, report, adapter. Server only. */
  output: '/fedbiot/output',
  /** The emulator bundle, by content. Clients only. */
  cache: '/fedbiot/cache',
  /** Key `ca.crt` of the Secret in spec.redis.tls. Both roles. */
  redisCa: '/etc/fedbiot/redis-ca',
  /** Scratch space; the root file system is read-only. */
  temporary: '/tmp',
} as const;

/** File in `MOUNT.job`: the manifest at the start of the job, with all defaults. */
export const JOB_FILE = 'job.json';

/** Base of relative URIs of the manifest without a volume: the examples in the image. */
export const IMAGE_EXAMPLES = '/app/examples';

/** Environment of a worker pod. */
export const ENV = {
  /** redis:// or rediss:// URL with its credentials, from a Secret. */
  redisUrl: 'FEDBIOT_REDIS_URL',
  /** PEM file of the CA certificate that signed Redis's certificate; unset: the system's CAs. */
  redisCaFile: 'FEDBIOT_REDIS_CA_FILE',
  /** Bearer token for the emulator bundle, from the job's Secret. */
  token: 'FEDBIOT_JOB_TOKEN',
  /** metadata.uid: names the job's keys in Redis. */
  uid: 'FEDBIOT_JOB_UID',
  namespace: 'FEDBIOT_JOB_NAMESPACE',
  /** Name of the pod, from the downward API. */
  pod: 'FEDBIOT_POD_NAME',
  /** Clients only: http://… of the server pod. */
  serverUrl: 'FEDBIOT_SERVER_URL',
  logLevel: 'FEDBIOT_LOG_LEVEL',
} as const;

/**
 * Ports of a worker pod. `bundle`: the emulator, with the job's token; server only. `metrics`: /metrics, /healthz,
 * /readyz; both.
 */
export const PORT = { bundle: 8080, metrics: 9464 } as const;
