import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { hubRoute } from '../worker/cluster/hub-route.ts';
import { UserError } from '../crds/facts/user-error.ts';
import { readRedisUrl } from '../worker/transport/redis/redis-url.ts';
import { LOG_LEVELS } from './process/log.ts';
import type { LogLevel } from './process/log.ts';

/** What the operator is started with. */
export interface OperatorConfig {
  /** Namespaces to watch; null: all. */
  readonly namespaces: readonly string[] | null;
  /** Redis for jobs that bring none, with its credentials; null: every job has to bring its own. */
  readonly redisUrl: string | null;
  /** PEM of the authority that signed its certificate; null: those that the system trusts. */
  readonly redisCa: string | null;
  /** Key from which jobs' tokens and passwords are derived; null: a random one for this process. */
  readonly secretKey: string | null;
  /** Annotations that jobs may give their pods besides the known ones: keys, and prefixes that end in `/`. */
  readonly podAnnotations: readonly string[];
  /** Whether jobs get the operator's own credentials if that Redis does not let it create users. */
  readonly allowSharedRedisCredentials: boolean;
  /** Image of worker pods, unless a job names another. */
  readonly workerImage: string;
  /**
   * Endpoint of the Hugging Face hub, a proxy to it, and hosts without that proxy, for jobs' pods; null: the hub
   * itself, none, none.
   */
  readonly hubEndpoint: string | null;
  readonly hubProxy: string | null;
  readonly hubNoProxy: string | null;
  readonly leaderElect: boolean;
  /** Namespace of the lease; null: the operator's own. */
  readonly leaseNamespace: string | null;
  /** Port of metrics, probes and the read API; 0: any free one. */
  readonly port: number;
  /** Whether metrics are only for callers whom the API server lets get the URL /metrics. */
  readonly metricsAuth: boolean;
  readonly logLevel: LogLevel;
  /** File; null: the pod's ServiceAccount, else the user's default. */
  readonly kubeconfig: string | null;
  /** Jobs reconciled at the same time. */
  readonly workers: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

interface Options {
  readonly namespaces?: string[];
  readonly redisUrlFile?: string;
  readonly redisCaFile?: string;
  readonly secretKeyFile?: string;
  readonly podAnnotations: string[];
  readonly allowSharedRedisCredentials?: boolean;
  readonly workerImage: string;
  readonly hubEndpoint?: string;
  readonly hubProxy?: string;
  readonly hubNoProxy?: string;
  readonly leaderElect: boolean;
  readonly leaseNamespace?: string;
  readonly port: number;
  readonly metricsAuth?: boolean;
  readonly logLevel: LogLevel;
  readonly kubeconfig?: string;
  readonly workers: number;
}

/** An answer to --help or --version; nothing is to be started. */
export interface Asked {
  readonly text: string;
}

/**
 * The configuration from the command line and, where an option is not given, from its environment variable.
 * @throws UserError that names the option or variable that is wrong.
 */
export function readConfig(args: readonly string[], environment: Environment, version: string): OperatorConfig | Asked {
  const printed: string[] = [];
  const command = program(version, (text) => printed.push(text));
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
    redisUrl: redisUrl(redisUrlFile, environment[REDIS_URL]),
    redisCa: redisCaFile === undefined ? null : redisCa(redisCaFile),
    secretKey: secretKeyFile === undefined ? null : secretKey(secretKeyFile),
    allowSharedRedisCredentials: allowSharedRedisCredentials ?? false,
    hubEndpoint: hubEndpoint ?? null,
    hubProxy: hubProxy ?? null,
    hubNoProxy: hubNoProxy ?? null,
    metricsAuth: metricsAuth ?? false,
    leaseNamespace: leaseNamespace ?? null,
    kubeconfig: kubeconfig ?? null,
  };
}

const REDIS_URL = 'FEDBIOT_REDIS_URL';

function program(version: string, print: (text: string) => void): Command {
  return new Command('fedbiot-operator')
    .description(
      'Runs FedBiOTJobs on Kubernetes. Every option has a variable: --lease-namespace is FEDBIOT_LEASE_NAMESPACE.',
    )
    .version(version)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => {} })
    .addOption(
      new Option('--namespaces <names>', 'namespaces to watch, with commas between them (default: all)').argParser(
        namespaceList,
      ),
    )
    .addOption(
      new Option(
        '--redis-url-file <path>',
        `file with the URL of the Redis for jobs that bring none; the variable ${REDIS_URL} gives the URL itself`,
      ),
    )
    .addOption(
      new Option(
        '--redis-ca-file <path>',
        "file with the authority that signed that Redis's certificate, for jobs' pods too (default: those that the images trust)",
      ),
    )
    .addOption(
      new Option(
        '--allow-shared-redis-credentials',
        "give jobs the operator's own credentials if that Redis does not let it create users: each job can then reach the keys of the others",
      ),
    )
    .addOption(
      new Option(
        '--secret-key-file <path>',
        "file with a secret of 32 characters or more, from which jobs' tokens are derived (default: a random one for this process)",
      ),
    )
    .addOption(
      new Option(
        '--pod-annotations <keys>',
        'annotations that jobs may give their pods besides those known to be harmless, separated by commas; one that ends in / allows every annotation with that prefix',
      )
        .argParser(annotationList)
        .default([]),
    )
    .addOption(
      new Option(
        '--worker-image <reference>',
        'image of worker pods, unless a job names another',
      ).makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--hub-endpoint <url>',
        "mirror of the Hugging Face hub for jobs' pods: HF_ENDPOINT there (default: the hub itself)",
      ).argParser(hubVariable('HF_ENDPOINT')),
    )
    .addOption(
      new Option(
        '--hub-proxy <url>',
        "proxy to the hub for jobs' pods, without credentials: HTTPS_PROXY and HTTP_PROXY there (default: none)",
      ).argParser(hubVariable('HTTPS_PROXY')),
    )
    .addOption(new Option('--hub-no-proxy <hosts>', "hosts without that proxy: NO_PROXY in jobs' pods (default: none)"))
    .addOption(new Option('--no-leader-elect', 'run without a lease: for a single replica that is never rolled'))
    .addOption(
      new Option('--lease-namespace <name>', "namespace of the lease (default: the operator's own)").argParser(
        namespaceName,
      ),
    )
    .addOption(
      new Option('--port <number>', 'port of metrics, probes and the read API; 0: any free one')
        .argParser(whole(0, 65_535))
        .default(8081),
    )
    .addOption(
      new Option('--metrics-auth', 'metrics only for bearer tokens whose user may get the nonresource URL /metrics'),
    )
    .addOption(new Option('--log-level <level>', 'least severity to log').choices(LOG_LEVELS).default('info'))
    .addOption(
      new Option(
        '--kubeconfig <path>',
        "how to reach the API server (default: the pod's ServiceAccount, else ~/.kube/config)",
      ),
    )
    .addOption(
      new Option('--workers <number>', 'jobs reconciled at the same time').argParser(whole(1, 256)).default(4),
    );
}

/** Options whose value may come from the environment: all but those that ask a question. */
const ASKING = new Set(['--help', '--version']);

/** `--lease-namespace` is FEDBIOT_LEASE_NAMESPACE. */
const variableOf = (long: string): string => `FEDBIOT_${long.slice(2).toUpperCase().replaceAll('-', '_')}`;

/**
 * The environment as arguments that stand before the real ones, which therefore win. Commander's own reading of it
 * takes any value of a switch's variable, "false" too, as given, and an empty one as a value.
 */
function withEnvironment(command: Command, environment: Environment): string[] {
  return command.options.flatMap(({ long, negate, required }) => {
    if (long === undefined || long === null || ASKING.has(long)) return [];
    const variable = variableOf(long);
    const value = environment[variable];
    if (value === undefined || value === '') return [];
    const isSwitch = negate || !required;
    if (!isSwitch) return [`${long}=${value}`];
    if (value === 'true') return [long];
    if (value === 'false') return [];
    throw new UserError(`the variable ${variable} is ${JSON.stringify(value)}`, { hint: 'Set it to true or false.' });
  });
}

/** A label of DNS (RFC 1123), as namespaces are. */
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function namespaceName(text: string): string {
  if (!NAMESPACE.test(text)) throw new InvalidArgumentError(`${JSON.stringify(text)} is not the name of a namespace.`);
  return text;
}

const namespaceList = (text: string): string[] => [
  ...new Set(text.split(',').map((name) => namespaceName(name.trim()))),
];

/** A key, or a domain with its slash. */
const ANNOTATION = /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?\/[-._A-Za-z0-9]*$/;

function annotationList(text: string): string[] {
  return text.split(',').map((key) => {
    if (!ANNOTATION.test(key.trim()))
      throw new InvalidArgumentError(
        `${JSON.stringify(key)} is neither the key of an annotation with its domain, nor a domain and a slash.`,
      );
    return key.trim();
  });
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return value;
  };
}

/** Parses the value of a variable of jobs' pods, which is readable in their templates. */
function hubVariable(name: string): (text: string) => string {
  return (text) => {
    try {
      const { proxy } = hubRoute({ [name]: text });
      if (proxy !== null && new URL(proxy).username !== '')
        throw new UserError('it contains credentials: a job can set those by env.valueFrom');
      return text;
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? `${error.message}.` : String(error));
    }
  };
}

/**
 * The file wins: a Secret that is mounted can be rotated. The URL is never part of a message, as it holds a password.
 */
function redisUrl(file: string | undefined, variable: string | undefined): string | null {
  if (file === undefined) return variable === undefined || variable === '' ? null : checkedUrl(variable, REDIS_URL);
  let text: string;
  try {
    text = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new UserError(`cannot read the URL of Redis from ${file}`, {
      hint: 'Check --redis-url-file and that the Secret is mounted.',
      cause: error,
    });
  }
  return checkedUrl(text, file);
}

function checkedUrl(text: string, source: string): string {
  try {
    readRedisUrl(text);
    return text;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${source}: ${error.message}`, error.hint === undefined ? {} : { hint: error.hint });
  }
}

/** Whether it is a certificate shows once Redis is reached. */
function redisCa(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`cannot read the authority of Redis from ${file}`, {
      hint: 'Check --redis-ca-file and that the Secret is mounted.',
      cause: error,
    });
  }
}

/** As many as a SHA-256 has bytes. */
const KEY_LENGTH = 32;

function secretKey(file: string): string {
  const hint = `Check --secret-key-file and that the Secret is mounted; it must hold ${KEY_LENGTH} random characters or more.`;
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new UserError(`cannot read the key for jobs' secrets from ${file}`, { hint, cause: error });
  }
  if (text.length < KEY_LENGTH)
    throw new UserError(`the key for jobs' secrets in ${file} has ${text.length} characters`, { hint });
  return text;
}
