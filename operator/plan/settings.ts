/** What the operator was started with, as far as it shows in a job's objects. */
export interface PlanSettings {
  /** Image of worker pods, unless the job names another. */
  readonly image: string;
  /** Redis for jobs that bring none; null: they have to. */
  readonly redis: OperatorRedis | null;
  readonly logLevel: string;
  /** Annotations that jobs may give their pods besides the known ones: keys, and prefixes that end in `/`. */
  readonly podAnnotations: readonly string[];
  /** Variables of pods that read from the Hugging Face hub, unless the job sets them: how they reach it. */
  readonly hub: Readonly<Record<string, string>>;
  /** Secret: the key from which jobs' tokens and passwords are derived. */
  readonly secretKey: string;
  /** Whether jobs get the operator's own credentials if Redis does not let it create users. */
  readonly allowSharedRedisCredentials: boolean;
}

export interface OperatorRedis {
  /** redis:// or rediss://, with credentials. */
  readonly url: string;
  /** PEM of the authority that signed its certificate; null: those that the images trust. */
  readonly ca: string | null;
  readonly port: number;
  /** Namespace of its Service; null: it is no Service of the cluster, and worker pods may reach the port anywhere. */
  readonly namespace: string | null;
}
