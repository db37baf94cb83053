import t from 'tap';
import { settingsFromConfig } from '../../operator/settings-from-config.ts';

const config = {
  workerImage: 'fedbiot',
  redisUrl: null,
  redisCa: 'PEM',
  logLevel: 'info',
  secretKey: 'key',
  podAnnotations: [],
  allowSharedRedisCredentials: false,
  hubEndpoint: null,
  hubProxy: null,
  hubNoProxy: null,
} as const;
const redisAt = (redisUrl: string | null) => settingsFromConfig({ ...config, redisUrl }).redis;

t.test('a Redis that is a Service of the cluster is known by its namespace, any other by its port alone', async (t) => {
  t.match(redisAt('redis://:p@redis.fedbiot-system.svc:6380'), { ca: 'PEM', port: 6380, namespace: 'fedbiot-system' });
  t.match(redisAt('rediss://redis.data.svc.cluster.local'), { port: 6379, namespace: 'data' });
  for (const url of ['redis://redis.example.com', 'redis://redis', 'redis://10.0.0.1', 'redis://a.b.svcs'])
    t.match(redisAt(url), { namespace: null }, url);
  t.equal(redisAt(null), null);
});

t.test('the way to the hub, as variables of pods', async (t) => {
  t.same(settingsFromConfig(config).hub, {});
  t.same(
    settingsFromConfig({ ...config, hubEndpoint: 'https://m', hubProxy: 'http://p:1', hubNoProxy: '.local' }).hub,
    {
      HF_ENDPOINT: 'https://m',
      HTTPS_PROXY: 'http://p:1',
      HTTP_PROXY: 'http://p:1',
      NO_PROXY: '.local',
    },
  );
});
