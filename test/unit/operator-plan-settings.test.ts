import t from 'tap';
import { planSettings } from '../../operator/plan-settings.ts';

const redisAt = (redisUrl: string | null) => planSettings({ workerImage: 'fedbiot', redisUrl, redisCa: 'PEM', logLevel: 'info', allowSharedRedisCredentials: false, secretKey: 'key', podAnnotations: [] }).redis;

t.test('a Redis that is a Service of the cluster is known by its namespace, any other by its port alone', async (t) => {
  t.match(redisAt('redis://:p@redis.fedbiot-system.svc:6380'), { ca: 'PEM', port: 6380, namespace: 'fedbiot-system' });
  t.match(redisAt('rediss://redis.data.svc.cluster.local'), { port: 6379, namespace: 'data' });
  for (const url of ['redis://redis.example.com', 'redis://redis', 'redis://10.0.0.1', 'redis://a.b.svcs']) t.match(redisAt(url), { namespace: null }, url);
  t.equal(redisAt(null), null);
});
