// A Redis Cluster of three masters as a job's data plane: each job's keys are on one of them, which commands must find.
import { randomUUID } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import t from 'tap';
import type { Test } from 'tap';
import { createLog } from '../../operator/process/log.ts';
import { ProgressMirror } from '../../operator/progress/mirror.ts';
import type { MirroredJob } from '../../operator/progress/mirror.ts';
import type { RedisMemory } from '../../operator/redis/memory.ts';
import { jobKeys } from '../../worker/cluster/redis-keys.ts';
import { RedisClientTransport } from '../../worker/transport/redis/client.ts';
import { checkRedis, openRedis } from '../../worker/transport/redis/connect.ts';
import { acquireFence } from '../../worker/transport/redis/fence.ts';
import { RedisProgress } from '../../worker/transport/redis/progress.ts';
import { RedisServerTransport } from '../../worker/transport/redis/server.ts';
import { readRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import { transportContract } from '../contract/transport.ts';
import { JobPods, runWholeJob } from '../support/pods.ts';
import { noRedis } from '../support/redis.ts';
import { addReplica, isComplete, noRedisCli, startNode, startRedisCluster } from '../support/redis-cluster.ts';
import { sampleProgress } from '../support/sample-progress.ts';
import { until } from '../support/until.ts';

/** The encoded password in the URL differs from the password that the nodes require. */
const PASSWORD = 'a password of this test';

t.test('a Redis Cluster', { skip: noRedis || noRedisCli, timeout: 300_000 }, async (t) => {
  const nodes = await startRedisCluster(t, PASSWORD, () => ({ aof: true }));
  const masters = nodes.map(({ url }) => {
    const redis = new Redis(url, { maxRetriesPerRequest: null });
    redis.on('error', () => undefined);
    t.teardown(() => redis.disconnect());
    return redis;
  });
  const url = nodes[0]?.url ?? '';
  const address = { url, isCluster: true };
  const connect = (t: Test) => {
    const redis = openRedis(address);
    t.teardown(() => redis.disconnect());
    return redis;
  };
  const keysAt = (uid: string) =>
    Promise.all(masters.map(async (node) => (await node.keys(`${jobKeys(uid).prefix}:*`)).length));

  /** Jobs whose keys are on the first, the second and the third master. */
  const spread = async (): Promise<string[]> => {
    const uids = new Map<number, string>();
    while (uids.size < masters.length) {
      const uid = randomUUID();
      uids.set(await masterOf(uid), uid);
    }
    return [...uids].sort(([a], [b]) => a - b).map(([, uid]) => uid);
  };
  const masterOf = async (uid: string) => {
    const slot = await masters[0]?.cluster('KEYSLOT', jobKeys(uid).progress);
    // The slots that --cluster create assigns.
    return Math.min(masters.length - 1, Math.floor(Number(slot) / 5461));
  };

  t.test('a cluster is detected at the start, and every master is checked', async (t) => {
    t.strictSame(await checkRedis({ url }), { isCluster: true, warnings: [] });
    await masters[1]?.config('SET', 'maxmemory-policy', 'allkeys-lru');
    t.match(await checkRedis({ url }), { isCluster: true, warnings: [/allkeys-lru/] });
    await masters[1]?.config('SET', 'maxmemory', '1gb');
    await t.rejects(checkRedis({ url }), { name: 'RedisUnusable', message: /allkeys-lru.*evict/ });
    await masters[1]?.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction');

    const alone = await startNode(t);
    await t.rejects(checkRedis(alone), { name: 'RedisUnusable', message: /the Redis Cluster at 127.*is not complete/ });
  });

  transportContract(t, 'redis cluster', async (t) => {
    const keys = jobKeys(randomUUID());
    const { token } = await acquireFence(connect(t), keys);
    const server = new RedisServerTransport(address, keys, token);
    t.teardown(() => server.close());
    const client = async () => {
      const client = new RedisClientTransport(address, keys);
      t.teardown(() => client.close());
      return client;
    };
    return { server, connect: client };
  });

  t.test('the operator receives progress from every node, and removes the keys of jobs', async (t) => {
    const uids = await spread();
    const jobs: MirroredJob[] = uids.map((uid, i) => ({ key: `lab/job-${i}`, uid }));
    const seen = { connected: false, memory: null as RedisMemory | null, warnings: '' };
    await masters[1]?.config('SET', 'maxmemory', '32mb');
    const mirror = new ProgressMirror({
      endpoint: readRedisUrl(nodes[2]?.url ?? ''),
      log: createLog('warn', { write: (line) => void (seen.warnings += line) }),
      jobs: () => jobs,
      changed: () => {},
      connected: (now) => void (seen.connected = now),
      memory: (memory) => void (seen.memory = memory),
      now: Date.now,
      // Received progress was also published.
      pollMs: 1_000_000,
      pauseMs: 10,
    });
    t.teardown(() => mirror.close());
    const redis = connect(t);
    await until('subscribed', 30, async () => {
      const counts = await Promise.all(masters.map((node) => node.pubsub('NUMSUB', 'fedbiot:progress')));
      return seen.connected && counts.some(([, count]) => count === 1) ? true : null;
    });
    for (const [i, { key, uid }] of jobs.entries()) {
      const fence = await acquireFence(redis, jobKeys(uid));
      await new RedisProgress(redis, jobKeys(uid), fence, key).write(sampleProgress(i + 1));
      t.match(await until('the mirror has it', 30, () => mirror.progressOf(uid)), { round: i + 1 });
    }
    t.strictSame(
      await Promise.all(uids.map(keysAt)),
      [
        [2, 0, 0],
        [0, 2, 0],
        [0, 0, 2],
      ],
      'a job on each',
    );
    await until('the memory of the fullest node is told', 30, () => (seen.memory?.max === 32 * 2 ** 20 ? true : null));
    t.equal(await mirror.reportOf(uids[1] ?? ''), null);
    let twin = randomUUID();
    while ((await masterOf(twin)) !== 0) twin = randomUUID();
    await redis.set(jobKeys(twin).bundle, 'of another slot of the first');
    await Promise.all([uids[0] ?? '', uids[2] ?? '', twin].map((uid) => mirror.sweep.remove(uid)));
    t.strictSame(
      await Promise.all(uids.map(keysAt)),
      [
        [0, 0, 0],
        [0, 2, 0],
        [0, 0, 0],
      ],
      'others stay',
    );
    await mirror.sweep.remove(uids[1] ?? '');
    t.strictSame(await Promise.all(uids.map(keysAt)), [
      [0, 0, 0],
      [0, 0, 0],
      [0, 0, 0],
    ]);
    t.equal(seen.warnings, '');
  });

  t.test('commands wait for a node that is down, and for all nodes', async (t) => {
    const uids = await spread();
    const redis = connect(t);
    t.ok(redis instanceof Cluster);
    const read = () => Promise.all(uids.map((uid) => redis.get(jobKeys(uid).bundle)));
    for (const uid of uids) await redis.set(jobKeys(uid).bundle, uid);

    await nodes[1]?.kill();
    const reading = read();
    await until('the others miss it', 30, async () => ((await isComplete(url)) ? null : true));
    await nodes[1]?.restart();
    t.strictSame(await reading, uids);

    await Promise.all(nodes.map((node) => node.kill()));
    const readingAgain = read();
    await Promise.all(nodes.map((node) => node.restart()));
    t.strictSame(await readingAgain, uids);
  });

  t.test('the operator notices when it is down, and when it is back', async (t) => {
    let isConnected = false;
    const uid = randomUUID();
    const jobs = [{ key: 'lab/job', uid }];
    const connected = (now: boolean) => void (isConnected = now);
    const mirror = new ProgressMirror({
      endpoint: readRedisUrl(url),
      log: createLog('error'),
      jobs: () => jobs,
      changed: () => {},
      connected,
      now: Date.now,
      pollMs: 50,
      pauseMs: 10,
    });
    t.teardown(() => mirror.close());
    await until('connected', 30, () => isConnected || null);
    await Promise.all(nodes.map((node) => node.kill()));
    await until('the loss is known', 30, () => !isConnected || null);
    await t.rejects(mirror.reportOf(uid), 'nobody waits for a Redis that is away');
    await Promise.all(nodes.map((node) => node.restart()));
    await connect(t).set(jobKeys(uid).progress, JSON.stringify(sampleProgress()));
    t.match(await until('what was told meanwhile', 30, () => mirror.progressOf(uid)), sampleProgress());
    t.ok(isConnected);
  });

  t.test('roles communicate through it, and wait for the node with their keys', async (t) => {
    const expected = await runWholeJob(t.testdir());
    const pods = await JobPods.create(t, url);
    const server = await pods.start('server');
    const clients = await Promise.all([pods.start('client'), pods.start('client')]);
    await server.says(/has reported/, { round: 2 });
    const at = await keysAt(pods.uid);
    t.equal(at.filter((count) => count > 0).length, 1, `its keys are with one node: ${at.join(', ')}`);
    await nodes[at.findIndex((count) => count > 0)]?.restart();
    for (const pod of [server, ...clients]) {
      const { code, output } = await pod.ended;
      t.equal(code, 0, output);
      t.notMatch(output, PASSWORD);
    }
    t.equal(pods.adapterSha256(), expected);
  });

  t.test('a replica takes the place of a master that is lost', async (t) => {
    const [, uid = ''] = await spread();
    const redis = connect(t);
    const fence = await acquireFence(redis, jobKeys(uid));
    await addReplica(t, PASSWORD, nodes[1]?.url ?? '');
    await until('the replica has what was written', 30, async () =>
      (await masters[1]?.wait(1, 1000)) === 1 ? true : null,
    );
    await nodes[1]?.kill();
    await fence.check();
    await t.rejects(checkRedis({ url: nodes[1]?.url ?? '' }), { message: /cannot be reached/ });
    // The other masters learn of the new one a moment later.
    const checked = await until('the cluster is complete again', 30, () => checkRedis({ url }).catch(() => null));
    t.match(checked, { isCluster: true });
  });
});
