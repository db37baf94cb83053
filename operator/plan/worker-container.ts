/** The container that runs a role. */
export const WORKER = 'worker';

export interface EnvVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

export interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly env?: readonly EnvVariable[];
  readonly resources?: unknown;
  readonly [field: string]: unknown;
}

export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly volumes: readonly { readonly name: string; readonly [source: string]: unknown }[];
    readonly [field: string]: unknown;
  };
}
