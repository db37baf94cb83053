import { CommanderError } from 'commander';
import { UserError } from '../../crds/facts/user-error.ts';
import type { LogLevel } from '../process/log.ts';
import { operatorCommand } from './command.ts';
import type { Options } from './command.ts';
import { withEnvironment } from './environment.ts';
import type { Environment } from './environment.ts';
import { redisCaFrom, redisUrlFrom, REDIS_URL, secretKeyFrom } from './secret-files.ts';

/** The operator's configuration. */
export interface OperatorConfig {
  /** Namespaces to watch; null: all. */
  readonly namespaces: readonly string[] | null;
  /** Redis for jobs without one of their own, with its credentials; null: every job has to name its Redis. */
  readonly redisUrl: string | null;
  /** PEM of the CA certificate of that Redis; null: the CAs that the system trusts. */
  readonly redisCa: string | null;
  /** Key from which jobs' tokens and passwords are derived; null: a random one for this process. */
  readonly secretKey: string | null;
  /** Annotations that jobs may give their pods besides the built-in ones: keys, and prefixes that end in `/`. */
  readonly podAnnotations: readonly string[];
  /** Whether jobs get the operator's own credentials if that Redis does not let it create users. */
  readonly allowSharedRedisCredentials: boolean;
  /** Image of worker pods, unless a job names another. */
  readonly workerImage: string;
  /** For jobs' pods: mirror of the Hugging Face hub; null: the hub itself. */
  readonly hubEndpoint: string | null;
  /** For jobs' pods: proxy to the hub; null: none. */
  readonly hubProxy: string | null;
  /** For jobs' pods: hosts to reach without that proxy; null: none. */
  readonly hubNoProxy: string | null;
  readonly leaderElect: boolean;
  /** Namespace of the lease; null: the operator's own. */
  readonly leaseNamespace: string | null;
  /** Port of metrics, probes and the read API; 0: any free one. */
  readonly port: number;
  /** Whether metrics require a token whose user may get the URL /metrics. */
  readonly metricsAuth: boolean;
  readonly logLevel: LogLevel;
  /** File; null: the pod's ServiceAccount, else the user's default. */
  readonly kubeconfig: string | null;
  /** Jobs reconciled at the same time. */
  readonly workers: number;
}

/** The answer to --help or --version: text to print, and no operator to start. */
export interface Asked {
  readonly text: string;
}

/**
 * Reads the command line and, where an option is not given, its environment variable.
 * @throws UserError that names the invalid option or variable
 */
export function readConfig(args: readonly string[], environment: Environment, version: string): OperatorConfig | Asked {
  const printed: string[] = [];
  const command = operatorCommand(version, (text) => printed.push(text));
  try {
    command.parse([...withEnvironment(command, environment), ...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { text: printed.join('') };
    throw new UserError(error.message.replace(/^error: /, ''), { hint: '--help lists the options.', cause: error });
  }
  const {
    namespaces,
    redisUrlFile,
    redisCaFile,
    secretKeyFile,
    hubEndpoint,
    hubProxy,
    hubNoProxy,
    allowSharedRedisCredentials,
    leaseNamespace,
    metricsAuth,
    kubeconfig,
    ...options
  } = command.opts<Options>();
  return {
    ...options,
    namespaces: namespaces ?? null,
    redisUrl: redisUrlFrom(redisUrlFile, environment[REDIS_URL]),
    redisCa: redisCaFile === undefined ? null : redisCaFrom(redisCaFile),
    secretKey: secretKeyFile === undefined ? null : secretKeyFrom(secretKeyFile),
    allowSharedRedisCredentials: allowSharedRedisCredentials ?? false,
    hubEndpoint: hubEndpoint ?? null,
    hubProxy: hubProxy ?? null,
    hubNoProxy: hubNoProxy ?? null,
    metricsAuth: metricsAuth ?? false,
    leaseNamespace: leaseNamespace ?? null,
    kubeconfig: kubeconfig ?? null,
  };
}
