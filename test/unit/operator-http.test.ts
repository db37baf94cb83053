import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import t from 'tap';
import type { Test } from 'tap';
import { parseManifest } from '../../crds/parse.ts';
import { Access } from '../../operator/http/access.ts';
import type { Identity, JobQuestion, Question, Reviews } from '../../operator/http/access.ts';
import { httpServer } from '../../operator/http/server.ts';
import { sparing } from '../../operator/http/sparing.ts';
import { createLog } from '../../operator/process/log.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';

const manifest = parseManifest(
  readFileSync(new URL('../../examples/quickstart.yaml', import.meta.url), 'utf8'),
  'quickstart.yaml',
);
const jobIn = (namespace: string, name: string): JobObject => ({
  ...manifest,
  metadata: { name, namespace, uid: `${namespace}-${name}`, creationTimestamp: '2026-01-01T00:00:00Z' },
  status: { phase: 'Running', round: 2, rounds: 10, refusals: { late: 1 }, clients: { selected: 4, reported: 3 } },
});

const report = {
  job: 'tune',
  method: 'FedBiOT',
  seed: 0,
  rounds: [],
  final: null,
  cost: null,
  adapterSha256: null,
  partition: [],
  plan: {
    layers: { total: 8, adapter: [7], emulator: [0], dropped: [1] },
    parameters: { full: 1, emulator: 1, adapterLora: 1, emulatorLora: 1 },
    bytes: { fullModel: 1, emulatorBundle: 1, roundDown: 1, fullModelRoundDown: 1, roundUp: 1, hiddenStateCache: 1 },
    flops: { clientToken: 1, fullModelToken: 1, alignmentToken: 1 },
    memory: { server: 1, client: 1, evaluation: 1, run: 1, available: 1, fits: true },
  },
};

/**
 * Ann may read namespace a, the administrator everything, Prometheus the metrics; `down` is a token for which the API
 * server fails.
 */
function fakeReviews(): Reviews & { asked: Question[] } {
  const asked: Question[] = [];
  return {
    asked,
    async identify(token): Promise<Identity | null> {
      if (token === 'down') throw new Error('no API server');
      return ['ann', 'administrator', 'prometheus'].includes(token) ? { username: token } : null;
    },
    async isAllowed({ username }, question) {
      asked.push(question);
      if (username === 'administrator') return true;
      return 'url' in question
        ? username === 'prometheus' && question.url === '/metrics'
        : username === 'ann' && question.namespace === 'a';
    },
  };
}

async function started(t: Test, metricsAuth = false) {
  const jobs = [jobIn('a', 'tune'), jobIn('a', 'new'), jobIn('b', 'tune')];
  const reviews = fakeReviews();
  let missing: string | null = 'caches are not filled';
  const app = await httpServer({
    reader: {
      jobs: () => jobs,
      getJob: (namespace, name) =>
        jobs.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name) ?? null,
      progressOf: () => null,
      async reportOf({ metadata }) {
        if (metadata.namespace === 'b') throw new Error('password of Redis');
        return metadata.name === 'new' ? null : report;
      },
    },
    access: new Access(reviews),
    metricsAuth,
    registry: new Registry(),
    log: createLog('error', { write: () => {} }),
    version: '1.2.3',
    notReady: () => missing,
  });
  t.teardown(() => app.close());
  const get = (url: string, token?: string) =>
    app.inject({ url, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
  return { get, reviews, ready: () => (missing = null) };
}

t.test('who may read what', async (t) => {
  const { get } = await started(t);
  const list = '/api/v1/jobs';
  const job = '/api/v1/namespaces/b/jobs/tune';
  for (const [url, token, status, type] of [
    [list, undefined, 401, 'unauthenticated'],
    [list, 'unknown', 401, 'unauthenticated'],
    [list, 'ann', 403, 'forbidden'],
    [`${list}?namespace=b`, 'ann', 403, 'forbidden'],
    [`${list}?namespace=`, 'ann', 400, 'invalid'],
    [job, 'ann', 403, 'forbidden'],
    [`${job}/report`, 'ann', 403, 'forbidden'],
    [`${job}/rounds`, undefined, 401, 'unauthenticated'],
    [`${job}/metrics`, 'ann', 403, 'forbidden'],
    ['/api/v1/namespaces/b/jobs/none', 'ann', 403, 'forbidden'],
    ['/api/v1/namespaces/a/jobs/none', 'ann', 404, 'no-job'],
    ['/api/v1/namespaces/a/jobs/new/report', 'ann', 404, 'no-report'],
    [`${job}/report`, 'administrator', 503, 'unavailable'],
    [list, 'down', 503, 'unavailable'],
    ['/nowhere', undefined, 404, 'not-found'],
  ] as const) {
    const answer = await get(url, token);
    t.equal(answer.statusCode, status, `${url} as ${token}`);
    t.match(answer.headers['content-type'], /^application\/problem\+json/);
    t.match(answer.json(), { type: `urn:fedbiot:problem:${type}`, status });
    t.notMatch(answer.body, /password|no API server/, 'reasons stay in the log');
    t.equal(answer.headers['www-authenticate'], status === 401 ? 'Bearer' : undefined);
  }
});

t.test('jobs, their progress and their reports', async (t) => {
  const { get } = await started(t);
  t.same((await get('/api/v1/jobs', 'administrator')).json().jobs.length, 3);
  const { jobs } = (await get('/api/v1/jobs?namespace=a', 'ann')).json();
  t.match(jobs, [{ name: 'tune' }, { name: 'new' }]);
  const one = '/api/v1/namespaces/a/jobs/tune';
  const { metadata, status } = jobIn('a', 'tune');
  const { name, namespace, uid, creationTimestamp: createdAt } = metadata;
  t.same(
    (await get(one, 'ann')).json(),
    { namespace, name, uid, method: 'FedBiOT', createdAt, status },
    'nothing is lost on the way',
  );
  t.same((await get(`${one}/metrics`, 'ann')).json(), { namespace, name, progress: null });
  t.same((await get(`${one}/rounds`, 'ann')).json(), { rounds: [] });
  t.same((await get(`${one}/report`, 'ann')).json(), report);
});

t.test('probes, metrics and the description are open to all', async (t) => {
  const { get, ready } = await started(t);
  t.match(await get('/healthz'), { statusCode: 200, body: 'ok\n' });
  t.match(await get('/readyz'), { statusCode: 503, body: 'caches are not filled\n' });
  ready();
  t.match(await get('/readyz'), { statusCode: 200 });
  t.match((await get('/metrics')).headers['content-type'], /text\/plain; version=0\.0\.4/);
  t.match(await get('/docs/'), { statusCode: 200 });
  const { paths } = (await get('/openapi.json')).json();
  const job = '/api/v1/namespaces/{namespace}/jobs/{name}';
  t.same(Object.keys(paths).sort(), ['/api/v1/jobs', job, `${job}/metrics`, `${job}/report`, `${job}/rounds`].sort());
});

t.test('metrics over authentication', async (t) => {
  const { get, reviews } = await started(t, true);
  for (const [token, status, type] of [
    [undefined, 401, 'unauthenticated'],
    ['unknown', 401, 'unauthenticated'],
    ['ann', 403, 'forbidden-metrics'],
    ['down', 503, 'unavailable'],
  ] as const) {
    const answer = await get('/metrics', token);
    t.match(answer, { statusCode: status, headers: { 'content-type': /^application\/problem\+json/ } }, `as ${token}`);
    t.match(answer.json(), { type: `urn:fedbiot:problem:${type}` });
    t.equal(answer.headers['www-authenticate'], status === 401 ? 'Bearer' : undefined);
  }
  t.match(await get('/metrics', 'prometheus'), { statusCode: 200, headers: { 'content-type': /text\/plain/ } });
  t.strictSame(reviews.asked, [{ url: '/metrics' }, { url: '/metrics' }], 'of ann and of prometheus');
  t.match(await get('/healthz'), { statusCode: 200 }, 'probes stay open');
  t.match(await get('/api/v1/jobs', 'prometheus'), { statusCode: 403 }, 'who may read metrics may not read jobs');
});

t.test('a verdict of the API server is cached briefly, for that question only', async (t) => {
  const reviews = fakeReviews();
  let now = 0;
  const access = new Access(reviews, () => now);
  const question: JobQuestion = { verb: 'get', namespace: 'a', name: 'tune' };
  const ask = (token: string, other: Partial<JobQuestion> = {}) =>
    access.decide(`Bearer ${token}`, { ...question, ...other }, '10.0.0.1');
  t.equal(await ask('ann'), 'allowed');
  t.equal(await ask('ann'), 'allowed');
  t.equal(reviews.asked.length, 1);
  t.equal(await ask('ann', { namespace: 'b' }), 'forbidden');
  t.equal(await ask('eve'), 'unauthenticated');
  now = 60_000;
  await ask('ann');
  t.equal(reviews.asked.length, 3);
  await t.rejects(ask('down'));
  await t.rejects(ask('down'), 'a failure is not kept as an answer');
  for (const header of [undefined, '', 'ann', 'Basic ann', 'Bearer ', `Bearer ${'x'.repeat(20_000)}`]) {
    t.equal(await access.decide(header, question, '10.0.0.1'), 'unauthenticated');
  }
});

t.test('invalid tokens cause few reviews, and do not delay valid ones', async (t) => {
  const identified: string[] = [];
  const fake = fakeReviews();
  const reviews: Reviews = {
    identify(token) {
      identified.push(token);
      return fake.identify(token);
    },
    isAllowed: (identity, question) => fake.isAllowed(identity, question),
  };
  let now = 0;
  const access = new Access(reviews, () => now);
  const question: JobQuestion = { verb: 'get', namespace: 'a', name: 'tune' };
  const ask = (token: string, address: string, name = 'tune') =>
    access.decide(`Bearer ${token}`, { ...question, name }, address);
  t.equal(await ask('ann', '10.0.0.1'), 'allowed');
  const verdicts = await Promise.all(Array.from({ length: 2000 }, (_, i) => ask(`made-up-${i}`, '10.0.0.1')));
  t.strictSame([...new Set(verdicts)], ['unauthenticated', 'busy']);
  t.equal(identified.length, 10, 'one of ann, the others of one address');
  t.equal(await ask('ann', '10.0.0.1', 'other'), 'allowed', 'who was known is answered');
  t.equal(await ask('administrator', '10.0.0.2'), 'allowed', 'and who comes from elsewhere');
  await Promise.all(Array.from({ length: 2000 }, (_, i) => ask(`made-up-${i}`, `10.0.1.${i % 200}`)));
  t.equal(identified.length, 51, 'fifty of all strangers, and one of ann again');
  const before = identified.length;
  t.equal(await ask('made-up-0', '10.0.0.1'), 'unauthenticated');
  t.equal(identified.length, before, 'a no is kept as well');
  await Promise.all(Array.from({ length: 2000 }, (_, i) => ask('ann', '10.0.0.1', `job-${i}`)));
  t.ok(identified.length - before <= 50, 'nor does one who is known ask without end');
  now = 1_000;
  t.equal(await ask('prometheus', '10.0.0.1'), 'forbidden', 'a second later there is room again');
});

t.test('too many requests are answered with 429', async (t) => {
  const { get } = await started(t);
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => get('/api/v1/jobs', `made-up-${i}`)));
  const busy = answers.find(({ statusCode }) => statusCode === 429);
  t.match(busy?.headers, { 'retry-after': '1', 'content-type': /problem\+json/ });
  t.equal(busy?.json().type, 'urn:fedbiot:problem:busy');
});

t.test(
  'an expensive result is computed once for concurrent callers, and takes at most a tenth of the time',
  async (t) => {
    let now = 0;
    let made = 0;
    let fails = false;
    const get = sparing(
      async () => {
        made++;
        now += 100;
        if (fails) throw new Error('it cannot be made');
        return made;
      },
      () => now,
    );
    t.strictSame(await Promise.all([get(), get(), get()]), [1, 1, 1]);
    now += 899;
    t.equal(await get(), 1);
    now += 1;
    t.equal(await get(), 2);
    [now, fails] = [now + 900, true];
    await t.rejects(get(), { message: 'it cannot be made' });
    fails = false;
    t.equal(await get(), 4, 'what failed is not kept');
  },
);
