import type { ServerResponse } from 'node:http';
import t from 'tap';
import type { Test } from 'tap';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { ListWatch, WATCH_TIMES } from '../../operator/kube/list-watch.ts';
import type { WatchTimes } from '../../operator/kube/list-watch.ts';
import { reader, WholeObject } from '../../operator/kube/read-object.ts';
import { RESOURCE } from '../../operator/objects/resources.ts';
import { createLog } from '../../operator/process/log.ts';
import { answerJson, answerStatus, startStub } from '../support/api-stub.ts';
import type { StubRequest } from '../support/api-stub.ts';
import { until } from '../support/until.ts';

const object = (name: string, resourceVersion: number) => ({
  metadata: {
    name,
    namespace: 'lab',
    uid: name,
    resourceVersion: String(resourceVersion),
    managedFields: [{}],
    creationTimestamp: null,
  },
  data: { version: String(resourceVersion) },
});

const list = (resourceVersion: number, items: readonly object[], next = '') => ({
  metadata: { resourceVersion: String(resourceVersion), continue: next },
  items,
});

const line = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;

interface Script {
  list(request: StubRequest, response: ServerResponse, times: number): void;
  watch(request: StubRequest, response: ServerResponse, times: number): void;
}

/** A collection whose server follows a script; `times` counts requests from 1. */
async function follow(
  t: Test,
  script: Script,
  times: Partial<WatchTimes> = {},
  { pageSize = 500, isOptional = false }: { readonly pageSize?: number; readonly isOptional?: boolean } = {},
) {
  const count = { list: 0, watch: 0 };
  const stub = await startStub(t, (request, response) => {
    const what = request.query['watch'] === 'true' ? 'watch' : 'list';
    script[what](request, response, ++count[what]);
  });
  const told: string[] = [];
  const seen = { log: '', restarts: 0 };
  const counted: string[] = [];
  const client = new ApiClient({
    kubeConfig: stub.kubeConfig,
    request: (method, _host, code) => counted.push(`${method} ${code}`),
  });
  const watch = new ListWatch<WholeObject>({
    client,
    path: '/api/v1/configmaps',
    isOptional,
    read: reader(RESOURCE.configMap, WholeObject),
    log: createLog('warn', { write: (text) => void (seen.log += text) }),
    times: { ...WATCH_TIMES, firstPauseMs: 1, longestPauseMs: 20, ...times },
    pageSize,
    replace: (objects) => told.push(`all ${objects.map(({ metadata }) => metadata.name)}`),
    put: ({ metadata }) => told.push(`${metadata.name} ${metadata.resourceVersion}`),
    drop: ({ name }) => told.push(`no ${name}`),
    restarted() {
      seen.restarts++;
      throw new Error('whoever is told fails');
    },
  });
  watch.start();
  t.teardown(async () => {
    await watch.close();
    client.close();
  });
  const requests = (what: 'list' | 'watch') =>
    stub.requests.filter(({ query }) => (query['watch'] === 'true') === (what === 'watch'));
  const hears = (what: string) => until(what, 30, () => (told.includes(what) ? true : null));
  return { told, seen, counted, watch, requests, hears, stub };
}

const hold = () => undefined;

t.test('reads pages, then events, and continues at the same version', async (t) => {
  const { told, seen, watch, requests, counted } = await follow(
    t,
    {
      list: ({ query }, response) => {
        if (query['continue'] === undefined) answerJson(response, list(7, [object('a', 1), object('b', 2)], 'more'));
        else answerJson(response, list(7, [object('c', 3)]));
      },
      watch: (_request, response, times) => {
        if (times > 1) return;
        response.write(line('ADDED', object('d', 8)));
        const modified = line('MODIFIED', object('a', 9));
        response.write(modified.slice(0, 20));
        response.write(modified.slice(20));
        response.write(line('DELETED', object('b', 10)));
        response.end(line('BOOKMARK', { kind: 'ConfigMap', metadata: { resourceVersion: '15' } }));
      },
    },
    {},
    { pageSize: 2 },
  );
  t.notOk(watch.hasListed);
  await until('a second watch', 30, () => requests('watch')[1] ?? null);
  t.strictSame(told, ['all a,b,c', 'd 8', 'a 9', 'no b']);
  t.ok(watch.hasListed);
  t.strictSame(
    requests('list').map(({ query }) => query),
    [{ limit: '2' }, { limit: '2', continue: 'more' }],
  );
  t.match(
    requests('watch').map(({ query }) => query),
    [
      { resourceVersion: '7', allowWatchBookmarks: 'true', timeoutSeconds: /^(14[4-9]|1[5-9]\d|20\d|21[0-6])$/ },
      { resourceVersion: '15' },
    ],
  );
  t.strictSame(counted.slice(0, 3), ['GET 200', 'GET 200', 'GET 200']);
  t.equal(seen.restarts, 0, 'a watch that ends in its time is none that failed');
});

t.test('an expired history leads to a new list, however it is reported', async (t) => {
  for (const said of ['answer', 'event'] as const) {
    const { requests, hears, seen } = await follow(t, {
      list: (_request, response, times) => answerJson(response, list(100 * times, [object(`list${times}`, times)])),
      watch: (_request, response, times) => {
        if (times > 1) hold();
        else if (said === 'answer') answerStatus(response, 410, 'Expired');
        else
          response.end(
            line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }),
          );
      },
    });
    await hears('all list2');
    await until(
      'a watch from there',
      30,
      () => requests('watch').find(({ query }) => query['resourceVersion'] === '200') ?? null,
    );
    t.equal(requests('list').length, 2, said);
    t.equal(seen.restarts, 1, said);
  }
});

t.test('a list that goes stale between two pages is fetched whole', async (t) => {
  const { hears, requests } = await follow(
    t,
    {
      list: ({ query }, response) => {
        if (query['continue'] !== undefined) answerStatus(response, 410, 'Expired');
        else if (query['limit'] !== undefined) answerJson(response, list(7, [object('a', 1)], 'more'));
        else answerJson(response, list(9, [object('a', 1), object('b', 2)]));
      },
      watch: hold,
    },
    {},
    { pageSize: 1 },
  );
  await hears('all a,b');
  t.equal(requests('list').length, 3);
});

t.test('after any other fault the watch pauses, longer each time, and continues where it was', async (t) => {
  const { requests, hears, seen } = await follow(t, {
    list: (_request, response) => answerJson(response, list(7, [])),
    watch: (_request, response, times) => {
      if (times === 1) response.socket?.destroy();
      else if (times === 2) answerStatus(response, 500, 'InternalError');
      else if (times === 3) response.end(line('ERROR', { kind: 'Status', code: 500, message: 'etcd is away' }));
      else if (times === 4) response.writeHead(200).end();
      else response.write(line('ADDED', object('a', 8)));
    },
  });
  await hears('a 8');
  t.equal(requests('list').length, 1, 'no second list');
  t.ok(requests('watch').every(({ query }) => query['resourceVersion'] === '7'));
  t.match(seen.log, /etcd is away.*"failures":3/);
  t.equal(seen.restarts, 4, 'an answer that is none, and says nothing, among them');
});

t.test('an unreadable event leads to a new list', async (t) => {
  const broken = [
    '{"type":"ADDED"\n',
    '17\n',
    `"${'x'.repeat(17 * 1024 * 1024)}"\n`,
    line('ADDED', { kind: 'ConfigMap' }),
    line('BOOKMARK', {}),
  ];
  for (const bad of broken) {
    const { hears, requests } = await follow(t, {
      list: (_request, response, times) => answerJson(response, list(times, [object(`list${times}`, times)])),
      watch: (_request, response, times) => {
        if (times > 1) hold();
        else response.write(`${line('ADDED', object('a', 8))}\n${bad}`);
      },
    });
    await hears('all list2');
    await hears('a 8');
    t.equal(requests('list').length, 2, bad.slice(0, 30));
  }
});

t.test('an item that is not an object is skipped and logged', async (t) => {
  const { hears, seen } = await follow(t, {
    list: (_request, response) => answerJson(response, list(7, [{ metadata: { name: 'odd' } }, object('a', 1)])),
    watch: (_request, response) => response.write(line('MODIFIED', { ...object('a', 8), data: 'none' })),
  });
  await hears('all a');
  await hears('no a');
  t.match(seen.log, /"name":"a".*skipped/);
});

t.test('a silent connection is closed', async (t) => {
  const { hears, seen, requests } = await follow(
    t,
    {
      list: (_request, response) => answerJson(response, list(7, [])),
      watch: (_request, response, times) => {
        response.write(line('ADDED', object(`watch${times}`, 7 + times)));
      },
    },
    { watchSeconds: 0.1, marginMs: -900 },
  );
  await hears('watch2 9');
  t.equal(requests('watch')[1]?.query['resourceVersion'], '8');
  t.match(seen.log, /no data for 0\.1 s/);
});

t.test('a slow connection is kept', async (t) => {
  const { hears, requests } = await follow(
    t,
    {
      list: (_request, response) => answerJson(response, list(7, [])),
      watch: (_request, response) => {
        let version = 8;
        const timer = setInterval(() => response.write(line('MODIFIED', object('a', version++))), 200);
        response.on('close', () => clearInterval(timer));
      },
    },
    { watchSeconds: 0.1, marginMs: 0 },
  );
  await hears('a 18');
  t.equal(requests('watch').length, 1);
});

t.test('stopping the watch aborts a pending request at once', async (t) => {
  const { watch, requests } = await follow(t, { list: hold, watch: hold });
  await until('a list', 30, () => requests('list')[0] ?? null);
  await watch.close();
  t.notOk(watch.hasListed);
});

t.test('a kind that may be missing is looked for until it is there, and when it is gone', async (t) => {
  const { told, seen, watch, requests, hears } = await follow(
    t,
    {
      list: (_request, response, times) => {
        if (times === 3) answerJson(response, list(7, [object('a', 1)]));
        else answerStatus(response, 404, 'NotFound');
      },
      watch: (_request, response) => answerStatus(response, 404, 'NotFound'),
    },
    {},
    { isOptional: true },
  );
  await until('the list is answered', 30, () => (watch.hasListed ? true : null));
  t.notOk(watch.isServed, 'nothing waits for it');
  await hears('all a');
  await until('two more lists', 30, () => requests('list')[4] ?? null);
  t.notOk(watch.isServed);
  t.strictSame(told.slice(0, 4), ['all ', 'all ', 'all a', 'all ']);
  t.strictSame([seen.restarts, seen.log], [0, ''], 'which is no failure');
});
