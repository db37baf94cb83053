import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { fetchBundle } from '../../worker/bundle/fetch.ts';
import { openBundle } from '../../worker/bundle/open.ts';
import { serveBundle } from '../../worker/bundle/serve.ts';
import { writeBundle } from '../../worker/bundle/write.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { federateModel } from '../../worker/run/job-model.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { writeTinyJob } from '../support/tiny-job.ts';

const root = t.testdir({});
const { spec } = readJob(writeTinyJob(root));
const directory = await openModelDirectory(join(root, 'model'));
const bundle = await writeBundle(
  await federateModel(directory, spec, async () => []),
  directory.path,
  join(root, 'bundle'),
);
const weights = readFileSync(join(bundle.directory, 'model.safetensors'));
const TOKEN = 'a token of this test';
const server = await serveBundle(bundle, { token: TOKEN, port: 0, host: '127.0.0.1' });
t.teardown(() => server.close());
const serverUrl = `http://127.0.0.1:${server.port}`;
const common = { token: TOKEN, signal: AbortSignal.timeout(25_000), retryMs: 20 };

/** A server with faults that the test injects. */
async function faulty(t: Test, listener: RequestListener): Promise<string> {
  const http = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => http.once('listening', resolve));
  t.teardown(() => {
    http.closeAllConnections();
    http.close();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

t.test('a fetched bundle equals the written one, and is fetched only once', async (t) => {
  const cache = t.testdir({});
  const folder = await fetchBundle(bundle, { ...common, serverUrl, cache });
  await openBundle(folder, bundle.sha256, spec);
  t.same(readdirSync(cache), [bundle.sha256]);
  t.equal(await fetchBundle(bundle, { ...common, serverUrl: 'http://127.0.0.1:1', cache }), folder);
});

t.test('nothing is served without the token, and only the bundle with it', async (t) => {
  const status = async (path: string, authorization?: string) =>
    (await fetch(new URL(path, serverUrl), authorization === undefined ? {} : { headers: { authorization } })).status;
  const manifest = `/bundle/${bundle.sha256}/bundle.json`;
  t.equal(await status(manifest, `Bearer ${TOKEN}`), 200);
  for (const wrong of [undefined, '', TOKEN, 'Bearer ', `Bearer ${TOKEN}x`, `Basic ${TOKEN}`])
    t.equal(await status(manifest, wrong), 401);
  t.equal(await status('/', undefined), 401);
  for (const path of [
    '/',
    '/bundle/',
    `/bundle/${'0'.repeat(64)}/bundle.json`,
    `/bundle/${bundle.sha256}/`,
    `/bundle/${bundle.sha256}/..%2fjob.yaml`,
    `/bundle/${bundle.sha256}/other`,
  ]) {
    t.equal(await status(path, `Bearer ${TOKEN}`), 404, path);
  }
  await t.rejects(fetchBundle(bundle, { ...common, token: 'wrong', refusedMs: 0, serverUrl, cache: t.testdir({}) }), {
    name: 'TokenRefused',
    message: /refuses the token/,
  });
});

t.test('a refused token is retried, because the server’s next process may accept it', async (t) => {
  let refusals = 3;
  const url = await faulty(t, (request, response) => {
    const body = readFileSync(join(bundle.directory, request.url!.split('/').at(-1)!));
    if (refusals-- > 0) response.writeHead(401).end();
    else response.writeHead(206, { 'content-range': `bytes 0-${body.length - 1}/${body.length}` }).end(body);
  });
  await openBundle(await fetchBundle(bundle, { ...common, serverUrl: url, cache: t.testdir({}) }), bundle.sha256, spec);
  t.equal(refusals < 0, true);
  const refusing = await faulty(t, (_request, response) => void response.writeHead(401).end());
  const began = performance.now();
  await t.rejects(fetchBundle(bundle, { ...common, refusedMs: 100, serverUrl: refusing, cache: t.testdir({}) }), {
    name: 'TokenRefused',
  });
  t.ok(performance.now() - began >= 100, 'but not for ever');
});

t.test('resumes after an earlier process stopped, or a connection was lost', async (t) => {
  const cache = t.testdir({});
  const part = join(cache, `${bundle.sha256}.part`);
  mkdirSync(part);
  writeFileSync(join(part, 'model.safetensors'), weights.subarray(0, 1000));
  const ranges: string[] = [];
  let cuts = 2;
  const url = await faulty(t, (request, response) => {
    const body = readFileSync(join(bundle.directory, request.url!.split('/').at(-1)!));
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range!)![1]);
    if (request.url!.endsWith('model.safetensors')) ranges.push(request.headers.range!);
    response.writeHead(206, {
      'content-range': `bytes ${from}-${body.length - 1}/${body.length}`,
      'content-length': body.length - from,
    });
    if (!request.url!.endsWith('model.safetensors') || cuts-- <= 0) response.end(body.subarray(from));
    else response.write(body.subarray(from, from + 5000), () => setTimeout(() => response.destroy(), 50));
  });
  await openBundle(await fetchBundle(bundle, { ...common, serverUrl: url, cache }), bundle.sha256, spec);
  t.equal(ranges[0], 'bytes=1000-');
  t.equal(ranges.length, 3);
  t.notOk(existsSync(part));
});

t.test('waits for a server that is down', async (t) => {
  let away = 3;
  const url = await faulty(t, (request, response) => {
    const body = readFileSync(join(bundle.directory, request.url!.split('/').at(-1)!));
    if (away-- > 0) response.writeHead(503).end();
    else response.writeHead(206, { 'content-range': `bytes 0-${body.length - 1}/${body.length}` }).end(body);
  });
  await openBundle(await fetchBundle(bundle, { ...common, serverUrl: url, cache: t.testdir({}) }), bundle.sha256, spec);
});

t.test('a file that is damaged or larger than announced is refused', async (t) => {
  const serving = (change: (body: Buffer) => Buffer, claim = (body: Buffer) => body.length) =>
    faulty(t, (request, response) => {
      const original = readFileSync(join(bundle.directory, request.url!.split('/').at(-1)!));
      const body = change(original);
      response.writeHead(206, { 'content-range': `bytes 0-${claim(original) - 1}/${claim(original)}` }).end(body);
    });
  const fetched = async (url: string) => fetchBundle(bundle, { ...common, serverUrl: url, cache: t.testdir({}) });
  await t.rejects(fetched(await serving((body) => Buffer.alloc(body.length))), { message: /arrived damaged 3 times/ });
  await t.rejects(fetched(await serving((body) => Buffer.concat([body, body]))), { message: /larger than announced/ });
  await t.rejects(
    fetched(
      await serving(
        (body) => body,
        (body) => body.length + 1,
      ),
    ),
    { message: /not as large as announced/ },
  );
  await t.rejects(fetchBundle({ sha256: '../x', bytes: 5 }, { ...common, serverUrl, cache: t.testdir({}) }), {
    message: /not an emulator bundle/,
  });
});
