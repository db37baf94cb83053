import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import t from 'tap';
import { readConfig } from '../../operator/config/config.ts';
import { createLog, jobLog } from '../../operator/process/log.ts';

const image = ['--worker-image', 'example.org/fedbiot:1'];
const read = (args: readonly string[], environment = {}) => readConfig(args, environment, '1.2.3');

t.test('only the worker image has to be given', async (t) => {
  t.same(read(image), {
    namespaces: null,
    allowSharedRedisCredentials: false,
    redisUrl: null,
    redisCa: null,
    secretKey: null,
    podAnnotations: [],
    workerImage: 'example.org/fedbiot:1',
    hubEndpoint: null,
    hubProxy: null,
    hubNoProxy: null,
    leaderElect: true,
    leaseNamespace: null,
    port: 8081,
    metricsAuth: false,
    logLevel: 'info',
    kubeconfig: null,
    workers: 4,
  });
  t.throws(() => read([]), { name: 'UserError', message: /--worker-image/ });
});

t.test('the environment gives what the command line does not', async (t) => {
  const environment = {
    FEDBIOT_WORKER_IMAGE: 'from-environment',
    FEDBIOT_NAMESPACES: 'a, b,a',
    FEDBIOT_REDIS_URL: 'redis://:secret@redis:6379',
    FEDBIOT_NO_LEADER_ELECT: 'true',
    FEDBIOT_LEASE_NAMESPACE: 'leases',
    FEDBIOT_PORT: '9000',
    FEDBIOT_METRICS_AUTH: 'true',
    FEDBIOT_LOG_LEVEL: 'debug',
    FEDBIOT_KUBECONFIG: '/kube/config',
    FEDBIOT_WORKERS: '',
    FEDBIOT_POD_ANNOTATIONS: 'example.org/, a.b/c',
    FEDBIOT_HUB_ENDPOINT: 'https://mirror.example',
    FEDBIOT_HUB_PROXY: 'http://proxy.example:3128',
    FEDBIOT_HUB_NO_PROXY: '.example',
  };
  t.match(read(['--port', '0', '--namespaces', 'c'], environment), {
    workerImage: 'from-environment',
    namespaces: ['c'],
    redisUrl: 'redis://:secret@redis:6379',
    leaderElect: false,
    leaseNamespace: 'leases',
    port: 0,
    metricsAuth: true,
    logLevel: 'debug',
    kubeconfig: '/kube/config',
    workers: 4,
    podAnnotations: ['example.org/', 'a.b/c'],
    hubEndpoint: 'https://mirror.example',
    hubProxy: 'http://proxy.example:3128',
    hubNoProxy: '.example',
  });
  for (const [option, value, message] of [
    ['--hub-endpoint', 'mirror', /HF_ENDPOINT cannot be used/],
    ['--hub-proxy', 'socks5://proxy:1080', /HTTPS_PROXY cannot be used/],
    ['--hub-proxy', 'http://user:secret@proxy:3128', /it contains credentials/],
  ] as const) {
    t.throws(() => read([...image, option, value]), { name: 'UserError', message });
  }
  process.env['FEDBIOT_NO_LEADER_ELECT'] = 'false';
  t.teardown(() => delete process.env['FEDBIOT_NO_LEADER_ELECT']);
  t.match(read(image, process.env), { leaderElect: true });
  for (const name of ['FEDBIOT_NO_LEADER_ELECT', 'FEDBIOT_METRICS_AUTH']) {
    t.throws(() => read(image, { [name]: 'yes' }), { name: 'UserError', message: new RegExp(name) });
    t.same(read(image, { [name]: 'false' }), read(image));
  }
});

t.test('wrong values are named', async (t) => {
  for (const [args, words] of [
    [['--port', '70000'], /--port/],
    [['--port', '1e3'], /--port/],
    [['--workers', '0'], /--workers/],
    [['--log-level', 'loud'], /--log-level/],
    [['--namespaces', 'a,,b'], /--namespaces/],
    [['--pod-annotations', 'example.org'], /--pod-annotations/],
    [['--pod-annotations', '/'], /--pod-annotations/],
    [['--lease-namespace', 'Upper'], /--lease-namespace/],
    [['--unknown'], /--unknown/],
    [['surplus'], /arguments/],
  ] as const) {
    t.throws(() => read([...image, ...args]), { name: 'UserError', message: words, hint: /--help/ });
  }
});

t.test('the URL of Redis is read from its file, and is never printed', async (t) => {
  const file = join(t.testdir(), 'url');
  writeFileSync(file, 'rediss://user:secret@redis:6380\n');
  t.match(read([...image, '--redis-url-file', file], { FEDBIOT_REDIS_URL: 'redis://other' }), {
    redisUrl: 'rediss://user:secret@redis:6380',
  });
  for (const text of [
    'http://user:secret@redis',
    'secret',
    'redis://',
    ' redis://:secret@redis',
    'redis://:secret%@redis',
    'redis://:secret@redis?connectTimeout=5',
  ]) {
    writeFileSync(file, text);
    try {
      read([...image, '--redis-url-file', file]);
      t.fail(`${text} was taken`);
    } catch (error) {
      t.match(error, { name: 'UserError', message: new RegExp(`^${file}: the URL of Redis`), hint: /percent-encode/ });
      t.notMatch(String(error), /secret/);
    }
  }
  for (const option of ['--redis-url-file', '--redis-ca-file']) {
    t.throws(() => read([...image, option, `${file}-missing`]), {
      name: 'UserError',
      message: /cannot read/,
      hint: new RegExp(option),
    });
  }
});

t.test('the CA certificate of Redis comes from its file', async (t) => {
  const file = join(t.testdir(), 'ca.crt');
  writeFileSync(file, 'PEM');
  t.match(read(image, { FEDBIOT_REDIS_CA_FILE: file }), { redisCa: 'PEM' });
});

t.test('the key for jobs’ secrets is read from its file, is long enough, and is never printed', async (t) => {
  const file = join(t.testdir(), 'key');
  const key = 'k'.repeat(32);
  writeFileSync(file, `${key}\n`);
  t.match(read(image, { FEDBIOT_SECRET_KEY_FILE: file }), { secretKey: key });
  writeFileSync(file, 'short');
  t.throws(() => read([...image, '--secret-key-file', file]), {
    name: 'UserError',
    message: /has 5 characters/,
    hint: /--secret-key-file/,
  });
  t.throws(() => read([...image, '--secret-key-file', `${file}-missing`]), {
    name: 'UserError',
    message: /cannot read/,
    hint: /--secret-key-file/,
  });
});

t.test('--help and --version answer, and start nothing', async (t) => {
  t.match(read(['--help']), { text: /FEDBIOT_LEASE_NAMESPACE[^]*--worker-image/ });
  t.match(read(['--version']), { text: '1.2.3\n' });
});

t.test('log lines carry the job, and no token', async (t) => {
  const lines: string[] = [];
  const log = createLog(
    'info',
    new Writable({ write: (chunk, _encoding, done) => (lines.push(String(chunk)), done()) }),
  );
  jobLog(log, 'team', 'tune').info({ request: { headers: { authorization: 'Bearer secret' } } }, 'asked');
  log.debug('unseen');
  t.equal(lines.length, 1);
  t.match(JSON.parse(lines[0] ?? ''), { level: 'info', namespace: 'team', job: 'tune', msg: 'asked' });
  t.notMatch(lines[0], /secret/);
});
