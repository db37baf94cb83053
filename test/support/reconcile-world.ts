import type { FedBiOTJobStatus } from '../../crds/types.ts';
import { eachOwned, titleOf } from '../../operator/objects/owned-objects.ts';
import { reconcile } from '../../operator/reconcile/reconcile.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { ObservedPod, ObservedWarning } from '../../operator/objects/observed.ts';
import type { PlannedObject } from '../../operator/objects/planned.ts';
import type { ReconcilePorts } from '../../operator/ports/reconcile-ports.ts';
import type { RedisUsersStanding } from '../../operator/objects/redis-standing.ts';
import { NOTHING, SETTINGS, USERS } from './planned-job.ts';

type Stored = Omit<PlannedObject, 'metadata'> & {
  metadata: PlannedObject['metadata'] & { uid: string; creationTimestamp: string };
  status?: object;
};

/** A world of one job, with a clock that the test sets, which records the reconciler's calls. */
export class ReconcileWorld {
  job: JobObject | null;
  /** By `Kind name`. */
  readonly objects = new Map<string, Stored>();
  pods: ObservedPod[] = [];
  settings = SETTINGS;
  seconds = 0;
  readonly calls: string[] = [];
  /** By uid. */
  readonly warnings = new Map<string, ObservedWarning>();
  redisUsers: RedisUsersStanding = USERS;
  kueue = NOTHING.kueue;
  /** How often the job's users in Redis were created. */
  grants = 0;
  /** Called before each write; may throw. */
  fault: (call: string) => void = () => {};
  /** Objects that the caches do not contain yet. */
  readonly unseen = new Set<string>();

  constructor(job: JobObject) {
    this.job = job;
  }

  /** Runs one reconcile, and returns its calls. */
  async turn(): Promise<{ calls: string[]; requeueAfterMs: number | null }> {
    this.calls.length = 0;
    const { requeueAfterMs } = await reconcile(this.ports, this.settings, 'lab', 'tiny');
    return { calls: [...this.calls], requeueAfterMs };
  }

  get status(): FedBiOTJobStatus | undefined {
    return this.job?.status;
  }

  setJobStatus(name: string, status: object): void {
    const stored = this.objects.get(`Job ${name}`);
    if (stored !== undefined) stored.status = status;
  }

  #call(call: string): void {
    this.fault(call);
    this.calls.push(call);
  }

  #seen(key: string): Stored | null {
    return this.unseen.has(key) ? null : (this.objects.get(key) ?? null);
  }

  readonly ports: ReconcilePorts = {
    getJob: () => this.job,
    unreadableJob: () => null,
    observe: async () => {
      const objects = eachOwned((key) => this.#seen(titleOf(key, 'tiny')));
      return { ...NOTHING, ...objects, pods: this.pods, kueue: this.kueue };
    },
    lastWarning: async ({ uid }) => this.warnings.get(uid ?? '') ?? null,
    read: async ({ kind, name }) => this.objects.get(`${kind} ${name}`) ?? null,
    create: async (object) => {
      const key = `${object.kind} ${object.metadata.name}`;
      this.#call(`create ${key}`);
      if (this.objects.has(key)) return 'exists';
      this.objects.set(key, {
        ...object,
        metadata: { ...object.metadata, uid: key, creationTimestamp: new Date(this.ports.now()).toISOString() },
      });
      return 'created';
    },
    apply: async (object) => {
      this.#call(`apply ${object.kind} ${object.metadata.name}`);
    },
    patchSpec: async ({ kind, name }, spec) => {
      this.#call(`patch ${kind} ${name} ${JSON.stringify(spec)}`);
      const stored = this.objects.get(`${kind} ${name}`);
      if (stored !== undefined) this.objects.set(`${kind} ${name}`, { ...stored, spec: { ...stored.spec, ...spec } });
    },
    deleteObject: async ({ kind, name, uid }) => {
      this.#call(`delete ${kind} ${name} ${uid ?? ''}`);
    },
    patchStatusOf: async ({ kind, name }, status) => {
      this.#call(`patch status of ${kind} ${name}`);
      const stored = this.objects.get(`${kind} ${name}`);
      if (stored !== undefined) stored.status = { ...stored.status, ...status };
    },
    applyConditions: async ({ kind, name }, conditions) => {
      this.#call(
        `conditions of ${kind} ${name} ${conditions.map(({ type, reason = '' }) => `${type}=${reason}`).join(' ')}`,
      );
    },
    updateStatus: async (job, status) => {
      this.#call(`status ${status.phase ?? ''}`);
      this.job = { ...job, status };
    },
    patchStatus: async (_metadata, status) => {
      this.#call(`patch status ${status.phase ?? ''}`);
      if (this.job !== null) this.job = { ...this.job, status: { ...this.job.status, ...status } };
    },
    recordEvent: (_job, { reason }) => {
      this.calls.push(`event ${reason}`);
    },
    redisUsers: () => this.redisUsers,
    grantRedis: async () => {
      this.fault('grant');
      this.grants += 1;
    },
    progressOf: () => null,
    now: () => Date.parse('2026-01-01T00:00:00Z') + this.seconds * 1000,
  };
}
