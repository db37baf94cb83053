import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { parseDocument } from 'yaml';
import { jobKeys, PROGRESS_CHANNEL } from '../../../worker/cluster/redis-keys.ts';
import type { Lab } from '../../cluster/lab/start.ts';
import { SYSTEM } from '../../support/chart.ts';
import { IMAGES } from '../../support/lab-images.ts';
import { until } from '../../support/until.ts';
import { makeNamespace, REDIS } from './install.ts';
import type { LabObjects } from './objects.ts';

const NAMESPACE = 'hostile';
const ACCOUNT = 'mallory';
const API = `/apis/fedbiot.io/v1alpha1/namespaces/${NAMESPACE}/fedbiotjobs`;

/** A pod that answers every Redis command with the beginning of a four-gigabyte reply. */
const FLOOD = `
const chunk = Buffer.alloc(1 << 20, 120);
require('net').createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => {
    socket.write('$4000000000\\r\\n');
    const more = () => { while (socket.writable && socket.write(chunk)); };
    socket.on('drain', more);
    more();
  });
}).listen(6379);
`;

/** An attacker who may edit a namespace, and attacks on other namespaces. */
export class HostileTenant {
  readonly #lab: Lab;
  readonly #objects: LabObjects;
  readonly #manifest: string;

  /** @param manifest a job that can run */
  constructor(lab: Lab, objects: LabObjects, manifest: string) {
    this.#lab = lab;
    this.#objects = objects;
    this.#manifest = manifest;
  }

  /** From here on, only with that account. */
  #kubectl(args: readonly string[], input?: string): Promise<string> {
    return this.#lab.kubectl(
      [...args, `--namespace=${NAMESPACE}`, `--as=system:serviceaccount:${NAMESPACE}:${ACCOUNT}`],
      input,
    );
  }

  async moveIn(): Promise<void> {
    await makeNamespace(this.#lab, NAMESPACE);
    await this.#lab.kubectl(['create', 'serviceaccount', ACCOUNT, `--namespace=${NAMESPACE}`]);
    await this.#lab.kubectl([
      'create',
      'rolebinding',
      ACCOUNT,
      '--clusterrole=edit',
      `--serviceaccount=${NAMESPACE}:${ACCOUNT}`,
      `--namespace=${NAMESPACE}`,
    ]);
  }

  /** Objects that should crash or blind the operator. They are not removed. */
  async attackOperator(): Promise<void> {
    await this.#kubectl(['apply', '--filename=-'], JSON.stringify(floodPod));
    const host = await until(
      'the false Redis has an address',
      120,
      async () => (await this.#objects.pod(NAMESPACE, 'flood')).status?.podIP ?? null,
    );
    const urls = {
      percent: 'redis://:pa%ss@redis.example:6379',
      options: 'redis://redis.example:6379?sentinels=x&scripts=x',
      flood: `redis://${host}:6379`,
    };
    for (const [name, url] of Object.entries(urls)) {
      await this.#kubectl(['create', 'secret', 'generic', name, `--from-literal=url=${url}`]);
      await this.#kubectl(['create', '--filename=-'], this.#job(name, { redis: { urlFrom: { name } }, suspend: true }));
    }
    const deep = `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`;
    const nested = this.#job('nested', { suspend: true }).replace(
      '"suspend":true',
      `"suspend":true,"client":{"podTemplate":{"spec":{"affinity":${deep}}}}`,
    );
    await this.#kubectl(['create', `--raw=${API}`, '--filename=-'], nested);
  }

  /** Attacks with the credentials of the pods of its own job. `victim`: uid of another's job. */
  async attackRedis(t: Test, victim: string): Promise<void> {
    await this.#kubectl(['create', '--filename=-'], this.#job('own', { suspend: true }));
    const { status } = await this.#objects.pod(SYSTEM, REDIS.pod);
    const connect = async (role: 'server' | 'client') => {
      const encoded = await until(
        'its credentials are there',
        60,
        async () =>
          (await this.#kubectl([
            'get',
            'secret',
            'own-credentials',
            '--ignore-not-found',
            `--output=jsonpath={.data.redis-url-${role}}`,
          ])) || null,
      );
      const url = new URL(Buffer.from(encoded, 'base64').toString());
      url.hostname = status?.podIP ?? '';
      const redis = new Redis(url.href, { maxRetriesPerRequest: 1 });
      redis.on('error', () => undefined);
      t.teardown(() => redis.disconnect());
      return redis;
    };
    const [server, client] = [await connect('server'), await connect('client')];
    const uid = await this.#kubectl(['get', 'fedbiotjob', 'own', '--output=jsonpath={.metadata.uid}']);
    const [own, theirs] = [jobKeys(uid), jobKeys(victim)];
    const password = await this.#lab.kubectl([
      'get',
      'secret',
      'fedbiot-redis',
      `--namespace=${SYSTEM}`,
      '--output=jsonpath={.data.password}',
    ]);
    const secrets = await this.#kubectl(['get', 'secrets', '--output=jsonpath={.items[*].data}']);
    const plain = secrets.replaceAll(/"([\w+/=]{8,})"/g, (_, encoded: string) =>
      Buffer.from(encoded, 'base64').toString(),
    );
    t.notMatch(
      plain,
      Buffer.from(password, 'base64').toString(),
      'the password of the operator is in none of its Secrets',
    );

    const everywhere = [
      ['CONFIG', 'GET', '*'],
      ['CONFIG', 'SET', 'maxmemory', '1'],
      ['ACL', 'SETUSER', 'mallory', 'on', 'nopass', '~*', '&*', '+@all'],
      ['FLUSHALL'],
      ['SHUTDOWN', 'NOSAVE'],
      ['REPLICAOF', '192.0.2.1', '6379'],
      ['KEYS', '*'],
      ['SCAN', '0'],
      ['GET', theirs.progress],
      ['SET', theirs.progress, '{}'],
      ['SET', theirs.fence, '9007199254740991'],
      ['SET', theirs.finished, '1'],
      ['EVAL', "return redis.call('UNLINK', KEYS[1])", '1', theirs.fence],
    ] as const;
    const refused = async (title: string, redis: Redis, commands: readonly (readonly [string, ...string[]])[]) => {
      for (const [name, ...args] of commands)
        await t.rejects(redis.call(name, ...args), /NOPERM/, `${title}: ${name} ${args.join(' ')}`);
    };
    await refused('a server', server, everywhere);
    await refused('a client', client, everywhere);
    await refused("a client, its server's keys", client, [
      ['SET', own.progress, '{}'],
      ['SET', own.finished, '1'],
      ['SET', own.fence, '1'],
      ['SET', `${own.tensors}:round-1-1`, 'poison'],
    ]);
    // Writes arbitrary values to the keys of its own job that it may write.
    await server.set(
      own.progress,
      JSON.stringify({ fence: 2 ** 53, sequence: 1, rounds: 2e9, at: '+275760-09-13T00:00:00Z' }),
    );
    await server.set(own.report, 'x'.repeat(17 * 2 ** 20));
    for (let i = 0; i < 100; i++)
      await server.publish(PROGRESS_CHANNEL, i % 2 === 0 ? `${NAMESPACE}/own` : 'plain/quickstart');
  }

  /** How often the operator's replicas were restarted. */
  async operatorRestarts(): Promise<readonly number[]> {
    const counts = await this.#lab.kubectl([
      'get',
      'pods',
      `--namespace=${SYSTEM}`,
      '--selector=app.kubernetes.io/component=operator',
      '--output=jsonpath={.items[*].status.containerStatuses[0].restartCount}',
    ]);
    return counts.split(' ').map(Number);
  }

  #job(name: string, spec: object): string {
    const job = parseDocument(this.#manifest).toJS();
    return JSON.stringify({ ...job, metadata: { name }, spec: { ...job.spec, ...spec } });
  }
}

const floodPod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'flood' },
  spec: {
    restartPolicy: 'Always',
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        name: 'flood',
        image: IMAGES.worker,
        command: ['node', '-e', FLOOD],
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
      },
    ],
  },
};
