/** Settings of the operator that affect the objects of jobs. */
export interface PlanSettings {
  /** Default image of worker pods. */
  readonly image: string;
  /** Redis for jobs without spec.redis; null: spec.redis is required. */
  readonly redis: OperatorRedis | null;
  readonly logLevel: string;
  /** Annotations that jobs may set in addition to the harmless ones: keys, and prefixes that end in `/`. */
  readonly podAnnotations: readonly string[];
  /** Default environment variables of pods that read from the Hugging Face hub: its endpoint, a proxy. */
  readonly hub: Readonly<Record<string, string>>;
  /** The key from which tokens and passwords of jobs are derived. It is secret. */
  readonly secretKey: string;
  /** Whether jobs receive the operator's own credentials if Redis does not let it create users. */
  readonly allowSharedRedisCredentials: boolean;
}

export interface OperatorRedis {
  /** redis:// or rediss://, with credentials. */
  readonly url: string;
  /** CA certificate (PEM); null: the CAs that the images trust. */
  readonly ca: string | null;
  readonly port: number;
  /** Namespace of its Service; null: it is outside the cluster, and worker pods may connect to the port on any host. */
  readonly namespace: string | null;
}
