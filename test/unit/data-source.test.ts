import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { loadData } from '../../worker/data/source.ts';
import { UserError } from '../../crds/facts/user-error.ts';

const CONTENT = '{"instruction":"i","output":"o"}\n';

async function folder(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'fedbiot-source-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

t.test('paths count from the manifest’s folder; the hash is that of the file', async (t) => {
  const directory = await folder(t);
  await mkdir(join(directory, 'data'));
  const file = join(directory, 'data', 'ä b.jsonl');
  await writeFile(file, CONTENT);
  const sha256 = createHash('sha256').update(CONTENT).digest('hex');
  for (const uri of ['data/ä b.jsonl', './data/ä b.jsonl', file, pathToFileURL(file).href]) {
    const found = await loadData({ uri, format: 'Auto' }, directory);
    t.match(found, { file, sha256, bytes: CONTENT.length, format: 'Alpaca' }, uri);
    t.equal(found.records.length, 1);
  }
});

t.test('sources that cannot be read are refused', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'table.csv'), 'a,b\n');
  await mkdir(join(directory, 'folder.jsonl'));
  await writeFile(join(directory, 'huge.jsonl'), '');
  await truncate(join(directory, 'huge.jsonl'), 2 ** 31);
  await symlink(join(directory, 'loop.jsonl'), join(directory, 'loop.jsonl'));
  const cases: [string, RegExp][] = [
    ['absent.jsonl', /absent\.jsonl is missing/],
    ['table.csv', /only \.json and \.jsonl files/],
    ['folder.jsonl', /folder\.jsonl is a folder, not a file/],
    ['loop.jsonl', /loop\.jsonl is a link that leads to itself/],
    ['huge.jsonl', /has 2147483648 bytes, more than the limit of 2147483647/],
    ['s3://bucket/data.jsonl', /s3:\/\/ is not supported/],
    ['file://host/data.jsonl', /is not the URL of a local path/],
    ['hf://datasets/org/data.jsonl', /does not name a file of a data set/],
    ['hf://datasets/org/name/../../x.jsonl', /does not name a file of a data set/],
    ['hf://datasets/org/name@..%2F../x.jsonl', /does not name a file of a data set/],
  ];
  for (const [uri, message] of cases) {
    const error = await loadData({ uri, format: 'Auto' }, directory).then(
      () => null,
      (error: unknown) => error,
    );
    t.ok(error instanceof UserError, uri);
    t.match(error instanceof Error ? error.message : '', message, uri);
  }
});

const commit = 'c0ffee'.padEnd(40, '0');

/** The part of the hub's API that a download of a data file needs. */
async function fakeHub(t: Test): Promise<{ url: string; requests: string[]; close(): Promise<void> }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const url = decodeURIComponent(request.url ?? '').split('?')[0] ?? '';
    requests.push(`${request.headers.authorization ?? ''} ${url}`.trim());
    const json = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (url.startsWith('/api/datasets/org/gated/')) return json(401, { error: 'gated' });
    if (/^\/api\/datasets\/org\/set\/revision\/(main|refs\/pr\/1|c0ffee0+)$/.test(url))
      return json(200, { _id: '1', id: 'org/set', sha: commit });
    if (url === `/datasets/org/set/resolve/${commit}/deep/data.jsonl`) {
      const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '');
      const [start, end] = range
        ? [Number(range[1]), Math.min(Number(range[2]) + 1, CONTENT.length)]
        : [0, CONTENT.length];
      response.writeHead(range ? 206 : 200, {
        etag: '"e"',
        'content-range': `bytes ${start}-${end - 1}/${CONTENT.length}`,
        'content-length': end - start,
      });
      return response.end(CONTENT.slice(start, end));
    }
    response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    });
  t.teardown(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, close };
}

t.test('a file of a data set on the hub is downloaded once and then found without network', async (t) => {
  const hub = await fakeHub(t);
  const cache = await folder(t);
  const variables = { HF_ENDPOINT: hub.url, HF_HUB_CACHE: cache, HF_TOKEN: 'hf_test', HF_HUB_OFFLINE: '' };
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  t.teardown(() =>
    before.forEach(([name, value]) => (value === undefined ? delete process.env[name] : (process.env[name] = value))),
  );
  Object.assign(process.env, variables);
  const load = (uri: string) => loadData({ uri, format: 'Auto' }, '/');

  const found = await load('hf://datasets/org/set/deep/data.jsonl');
  t.equal(found.file, join(cache, 'datasets--org--set', 'snapshots', commit, 'deep', 'data.jsonl'));
  t.equal(await readFile(found.file, 'utf8'), CONTENT);
  t.ok(hub.requests.every((request) => request.startsWith('Bearer hf_test ')));
  t.equal((await load('hf://datasets/org/set@refs%2Fpr%2F1/deep/data.jsonl')).file, found.file);

  const asked = hub.requests.length;
  t.equal((await load(`hf://datasets/org/set@${commit}/deep/data.jsonl`)).file, found.file);
  t.equal(hub.requests.length, asked, 'a commit never changes, so nothing is asked');

  await t.rejects(load('hf://datasets/org/set/absent.jsonl'), {
    constructor: UserError,
    message: /org\/set has no file absent\.jsonl at main/,
  });
  await t.rejects(load('hf://datasets/org/none/data.jsonl'), { constructor: UserError, message: /the hub has no hf:/ });
  await t.rejects(load('hf://datasets/org/gated/data.jsonl'), { constructor: UserError, message: /denies access/ });

  await hub.close();
  t.equal((await load('hf://datasets/org/set/deep/data.jsonl')).file, found.file, 'the hub cannot be reached');
  await t.rejects(load('hf://datasets/org/set/other.jsonl'), {
    constructor: UserError,
    message: /cannot download .*ECONNREFUSED/,
  });
  process.env['HF_HUB_OFFLINE'] = '1';
  t.equal((await load('hf://datasets/org/set/deep/data.jsonl')).file, found.file, 'offline');
  await t.rejects(load('hf://datasets/org/set/other.jsonl'), {
    constructor: UserError,
    message: /HF_HUB_OFFLINE is set/,
  });
});
