import { Command, Option } from 'commander';
import { LOG_LEVELS } from '../process/log.ts';
import type { LogLevel } from '../process/log.ts';
import { annotationList, hubVariable, namespaceList, namespaceName, whole } from './arguments.ts';
import { KEY_LENGTH, REDIS_URL } from './secret-files.ts';

/** Values of the options, as commander returns them. */
export interface Options {
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

/** The operator's command line: its options and their help. */
export function operatorCommand(version: string, print: (text: string) => void): Command {
  return new Command('fedbiot-operator')
    .description(
      'Runs FedBiOTJobs on Kubernetes. Every option has an environment variable: --lease-namespace is FEDBIOT_LEASE_NAMESPACE.',
    )
    .version(version)
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: () => {} })
    .addOption(
      new Option('--namespaces <names>', 'namespaces to watch, separated by commas (default: all)').argParser(
        namespaceList,
      ),
    )
    .addOption(
      new Option(
        '--redis-url-file <path>',
        `file with the URL of the Redis for jobs without one of their own; the variable ${REDIS_URL} holds the URL itself`,
      ),
    )
    .addOption(
      new Option(
        '--redis-ca-file <path>',
        "file with the CA certificate of that Redis, for jobs' pods too (default: the CAs that the images trust)",
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
        `file with a secret of ${KEY_LENGTH} characters or more, from which jobs' tokens are derived (default: a random one for this process)`,
      ),
    )
    .addOption(
      new Option(
        '--pod-annotations <keys>',
        'annotations, separated by commas, that jobs may give their pods besides those known to be harmless; one that ends in / allows every annotation with that prefix',
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
    .addOption(
      new Option(
        '--hub-no-proxy <hosts>',
        "hosts that jobs' pods reach without that proxy: NO_PROXY there (default: none)",
      ),
    )
    .addOption(
      new Option('--no-leader-elect', 'run without a lease: for a single replica that is never updated by a rollout'),
    )
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
      new Option(
        '--metrics-auth',
        'serve metrics only to bearer tokens whose user may get the nonresource URL /metrics',
      ),
    )
    .addOption(new Option('--log-level <level>', 'lowest severity to log').choices(LOG_LEVELS).default('info'))
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
