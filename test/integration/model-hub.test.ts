import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { UserError } from '../../crds/facts/user-error.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { downloadModel, parseModelUri } from '../../worker/hub/download-model.ts';
import type { DownloadProgress } from '../../worker/hub/download-model.ts';

const FIXTURE = fileURLToPath(new URL('../fixtures/families/llama3/', import.meta.url));
const COMMIT = 'c0ffee'.padEnd(40, '0');

/** A repository with the fixture's files, and with some that must not be downloaded. */
const repository = new Map<string, Buffer>([
  ...[
    'config.json',
    'model.safetensors.index.json',
    ...[1, 2, 3, 4].map((i) => `model-0000${i}-of-00004.safetensors`),
  ].map((name) => [name, readFileSync(join(FIXTURE, name))] as const),
  ['tokenizer.json', Buffer.from('{}')],
  ['pytorch_model.bin', Buffer.from('pickle')],
  ['consolidated.safetensors', Buffer.from('the same weights again')],
  ['README.md', Buffer.from('# readme')],
  ['..safetensors', Buffer.from('odd')],
]);

/** The part of the hub's HTTP API that a download needs. */
class Hub {
  readonly requests: string[] = [];
  status = 200;
  /** Contents that differ from the listing. */
  readonly damaged = new Map<string, Buffer>();
  readonly server = createServer((request, response) => {
    const url = request.url ?? '';
    this.requests.push(url);
    const json = (value: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (this.status !== 200) return void response.writeHead(this.status).end();
    if (
      url.startsWith('/api/models/org/tiny/revision/main') ||
      url.startsWith(`/api/models/org/tiny/revision/${COMMIT}`)
    ) {
      return void json({ _id: 'x', id: 'org/tiny', sha: COMMIT });
    }
    if (url.startsWith(`/api/models/org/tiny/tree/${COMMIT}`)) {
      // prettier-ignore
      return void json([
        { type: 'directory', path: 'original', size: 0, oid: 'x' },
        ...[...repository].map(([path, content]) => ({
          type: 'file', path, size: content.byteLength, oid: 'x',
          ...(path.endsWith('.safetensors') ? { lfs: { oid: createHash('sha256').update(content).digest('hex'), size: content.byteLength, pointerSize: 1 } } : {}),
        })),
      ]);
    }
    const name = new RegExp(`^/org/tiny/resolve/${COMMIT}/([^?]+)`).exec(url)?.[1] ?? '';
    const content = this.damaged.get(name) ?? repository.get(name);
    if (content === undefined) return void response.writeHead(404).end();
    if (request.headers.range !== 'bytes=0-0') return void response.writeHead(200, { etag: '"x"' }).end(content);
    const head = { etag: '"x"', 'content-range': `bytes 0-0/${content.byteLength}` };
    response.writeHead(206, head).end(content.subarray(0, 1));
  });
}

const hub = new Hub();
hub.server.listen(0, '127.0.0.1');
await once(hub.server, 'listening');
t.teardown(() => hub.server.close());
const { port } = hub.server.address() as AddressInfo;
const cache = t.testdir({});
const snapshot = join(cache, 'models--org--tiny', 'snapshots', COMMIT);

t.beforeEach(() => {
  hub.requests.length = 0;
  hub.damaged.clear();
  hub.status = 200;
  process.env['HF_ENDPOINT'] = `http://127.0.0.1:${port}`;
  process.env['HF_HUB_CACHE'] = cache;
  delete process.env['HF_HUB_OFFLINE'];
  delete process.env['HF_TOKEN'];
});

t.test('downloads what is needed into the cache, with progress, and opens it', async (t) => {
  const progress: DownloadProgress[] = [];
  const model = await openModelDirectory('hf://org/tiny', { onProgress: (step) => progress.push(step) });
  t.equal(model.path, snapshot);
  t.same(readdirSync(snapshot).sort(), [
    'config.json',
    'model-00001-of-00004.safetensors',
    'model-00002-of-00004.safetensors',
    'model-00003-of-00004.safetensors',
    'model-00004-of-00004.safetensors',
    'model.safetensors.index.json',
    'tokenizer.json',
  ]);
  for (const name of readdirSync(snapshot))
    t.ok(readFileSync(join(snapshot, name)).equals(repository.get(name)!), name);
  const total = readdirSync(snapshot).reduce((sum, name) => sum + repository.get(name)!.byteLength, 0);
  t.match(progress.at(-1), { doneBytes: total, totalBytes: total });
  t.ok(
    progress.every(({ doneBytes }, i) => i === 0 || doneBytes >= progress[i - 1]!.doneBytes),
    'progress never goes back',
  );
  t.equal(readFileSync(join(cache, 'models--org--tiny', 'refs', 'main'), 'utf8'), COMMIT);
});

t.test('a second download only checks the branch, and fetches missing files', async (t) => {
  rmSync(join(snapshot, 'tokenizer.json'));
  writeFileSync(join(snapshot, 'config.json'), 'cut off');
  t.equal(await downloadModel('hf://org/tiny@main'), snapshot);
  const fetched = new Set(hub.requests.filter((url) => url.includes('/resolve/')).map((url) => url.split('/').at(-1)));
  t.same(fetched, new Set(['config.json', 'tokenizer.json']));
});

t.test('a cached commit needs no network; neither does a cached branch while the hub fails', async (t) => {
  t.equal(await downloadModel(`hf://org/tiny@${COMMIT}`), snapshot);
  t.same(hub.requests, []);
  hub.status = 503;
  t.equal(await downloadModel('hf://org/tiny'), snapshot);
  process.env['HF_ENDPOINT'] = 'http://127.0.0.1:1';
  t.equal(await downloadModel('hf://org/tiny'), snapshot);
  process.env['HF_HUB_OFFLINE'] = '1';
  t.equal(await downloadModel('hf://org/tiny'), snapshot);
});

t.test('without network and cache, the error says what to do', async (t) => {
  process.env['HF_ENDPOINT'] = 'http://127.0.0.1:1';
  const unreachable: unknown = await downloadModel('hf://org/other').catch((error: unknown) => error);
  t.match(unreachable, {
    name: 'UserError',
    message: /cannot download hf:\/\/org\/other from http:\/\/127\.0\.0\.1:1: .+/,
    hint: /set model\.uri to its directory/,
  });
  process.env['HF_HUB_OFFLINE'] = 'true';
  const offline: unknown = await downloadModel('hf://org/other').catch((error: unknown) => error);
  t.match(offline, {
    name: 'UserError',
    message: /not in the cache .*HF_HUB_OFFLINE is set/,
    hint: /set model\.uri to its directory/,
  });
});

t.test('a snapshot without all files does not count as complete', async (t) => {
  for (const missing of [
    'model-00003-of-00004.safetensors',
    'model.safetensors.index.json',
    'config.json',
    'tokenizer.json',
  ]) {
    rmSync(join(snapshot, missing));
    process.env['HF_HUB_OFFLINE'] = '1';
    await t.rejects(downloadModel('hf://org/tiny'), { name: 'UserError', message: /not in the cache/ }, missing);
    delete process.env['HF_HUB_OFFLINE'];
    t.equal(await downloadModel(`hf://org/tiny@${COMMIT}`), snapshot);
    t.ok(existsSync(join(snapshot, missing)));
  }
});

t.test('a damaged or truncated file is refused, and leaves nothing', async (t) => {
  const shard = 'model-00001-of-00004.safetensors';
  const content = repository.get(shard)!;
  const other = Buffer.from(content);
  other[100]! ^= 1;
  for (const [damaged, message] of [
    [other, /is corrupted: its SHA-256 does not match/],
    [content.subarray(0, 1000), /ended after 1000 of \d+ bytes/],
  ] as const) {
    rmSync(join(snapshot, shard), { force: true });
    hub.damaged.set(shard, damaged);
    await t.rejects(downloadModel('hf://org/tiny'), { name: 'UserError', message });
    t.notOk(readdirSync(snapshot).some((name) => name.startsWith(shard)));
  }
});

t.test('the hub’s refusals are distinguished', async (t) => {
  await t.rejects(downloadModel('hf://org/none'), { name: 'UserError', message: 'the hub has no hf://org/none' });
  await t.rejects(downloadModel('hf://org/tiny@v9'), { name: 'UserError', message: 'the hub has no hf://org/tiny@v9' });
  for (const status of [401, 403]) {
    hub.status = status;
    await t.rejects(downloadModel('hf://org/tiny'), { name: 'UserError', message: /denies access/ });
  }
});

t.test('a download can be cancelled', async (t) => {
  await t.rejects(downloadModel('hf://org/tiny', { signal: AbortSignal.abort(new Error('stopped')) }), /stopped/);
});

t.test('model URIs', async (t) => {
  t.same(parseModelUri('hf://org/name'), { name: 'org/name', revision: 'main' });
  t.same(parseModelUri('hf://org/na.me-2@refs/pr/1'), { name: 'org/na.me-2', revision: 'refs/pr/1' });
  for (const uri of [
    'hf://',
    'hf://name',
    'hf://org/name/more',
    'hf://org/name@',
    'hf://org/..',
    'hf://../x',
    'hf://org/name@../../x',
    'hf://org/name@a//b',
    'hf://org/na me',
  ]) {
    t.throws(() => parseModelUri(uri), { name: 'UserError', message: uri }, uri);
  }
});

t.test('through a proxy, where one is set', async (t) => {
  const heard: string[] = [];
  const proxy = createServer();
  proxy.on('connect', (request, socket) => {
    heard.push(request.url ?? '');
    const upstream = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(upstream).pipe(socket);
    });
    upstream.on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy());
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port: proxyPort } = proxy.address() as AddressInfo;
  t.teardown(() => {
    for (const name of ['HTTP_PROXY', 'NO_PROXY']) delete process.env[name];
    proxy.close();
    proxy.closeAllConnections();
  });
  // Only the proxy can resolve this host.
  process.env['HF_ENDPOINT'] = 'http://hub.invalid';
  process.env['HF_HUB_CACHE'] = t.testdir({});
  process.env['HTTP_PROXY'] = `http://user:secret@127.0.0.1:${proxyPort}`;
  t.ok((await downloadModel('hf://org/tiny')).endsWith(COMMIT));
  t.match(heard, ['hub.invalid:80']);
  heard.length = 0;
  t.equal((await fetch(`http://127.0.0.1:${port}/api/models/org/tiny/revision/main`)).status, 200);
  t.same(heard, [], 'other connections do not go through it');

  const refused = async (message: RegExp) => {
    process.env['HF_HUB_CACHE'] = t.testdir({});
    const error = await downloadModel('hf://org/tiny').then(
      () => t.fail('it was downloaded'),
      (error: unknown) => error,
    );
    t.match(error, { name: 'UserError', message, hint: /proxy/i });
    t.notMatch(`${String(error)} ${error instanceof UserError ? error.hint : ''}`, /secret/);
  };
  proxy.removeAllListeners('connect');
  proxy.on('connect', (_, socket) => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
  proxy.closeAllConnections();
  await refused(
    /^cannot download hf:\/\/org\/tiny from http:\/\/hub\.invalid through the proxy http:\/\/127\.0\.0\.1:\d+: .*407/,
  );
  process.env['NO_PROXY'] = '.invalid';
  await refused(/^cannot download hf:\/\/org\/tiny from http:\/\/hub\.invalid: /);
  delete process.env['NO_PROXY'];
  process.env['HTTP_PROXY'] = 'socks5://127.0.0.1:1080';
  await t.rejects(downloadModel('hf://org/tiny'), {
    name: 'UserError',
    message: /HTTP_PROXY cannot be used: socks5:\/\/ is not supported/,
  });
});
