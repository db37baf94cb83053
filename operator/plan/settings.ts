/** What the operator was started with, as far as it shows in a job's objects. */
export interface PlanSettings {
  /** Image of worker pods, unless the job names another. */
  readonly image: string;
  readonly imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never';
  /** Redis for jobs that bring none; null: they have to. */
  readonly redis: OperatorRedis | null;
  readonly logLevel: string;
}

export interface OperatorRedis {
  /** redis:// or rediss://, with credentials. */
  readonly url: string;
  readonly port: number;
  /** Where its pods are; without it, worker pods may reach the port anywhere. */
  readonly peer?: NetworkPeer;
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
}

/** A peer of a NetworkPolicy. */
export interface NetworkPeer {
  readonly namespaceSelector?: LabelSelector;
  readonly podSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr: string };
}
