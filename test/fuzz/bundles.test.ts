// Bundles that a client pod fetches and opens: each file, the manifest with the correct digests, and responses of a
// server.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { fetchBundle } from '../../worker/bundle/fetch.ts';
import { BUNDLE_FILES, MANIFEST_FILE } from '../../worker/bundle/manifest.ts';
import { openBundle } from '../../worker/bundle/open.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { fuzz } from './harness.ts';
import { mutatedBytes, mutatedJson } from './mutations.ts';
import { oddBundle } from './odd-bundle.ts';

const root = t.testdir({});
const { spec, bundle, manifest, odd, withFile } = await oddBundle(root, 'AsStored');
const names = BUNDLE_FILES.filter((name) => manifest.files.some((file) => file.name === name));

async function opened(id: string): Promise<void> {
  const { model, tokenizer } = await openBundle(odd, id, spec);
  const { front, emulator, tail } = manifest.split;
  const held = new Set([...front, ...emulator, ...tail]);
  const strange = [...model.weights.keys()].find(
    (name) => /layers\.(\d+)\./.test(name) && !held.has(Number(/layers\.(\d+)\./.exec(name)?.[1])),
  );
  if (strange !== undefined) throw new Error(`a client got ${strange}`);
  tokenizer.encode('How much is 1 plus 2?');
}

await t.test('the bundle itself is opened', async () =>
  opened(withFile('config.json', readFileSync(join(bundle.directory, 'config.json')))),
);

for (const name of names) {
  t.test(`${name} of a bundle with a matching manifest`, async (t) => {
    const right = readFileSync(join(bundle.directory, name));
    const inputs = name.endsWith('.json')
      ? mutatedJson(JSON.parse(right.toString())).map((text) => Buffer.from(text, 'latin1'))
      : mutatedBytes(right);
    await fuzz(t, { name, inputs, runs: 100, attempt: (bytes) => opened(withFile(name, bytes)) });
  });
}

t.test('the manifest of a bundle with a matching id', async (t) => {
  const attempt = (text: string) => {
    const bytes = Buffer.from(text, 'latin1');
    withFile('config.json', readFileSync(join(bundle.directory, 'config.json')));
    writeFileSync(join(odd, MANIFEST_FILE), bytes);
    return opened(sha256(bytes));
  };
  await fuzz(t, { name: 'manifests', inputs: mutatedJson(manifest), runs: 100, attempt });
});

t.test('a server with arbitrary responses: the bundle is fetched, or the responses are refused', async (t) => {
  type Answer = { readonly status: number; readonly range: string | null; readonly body: Uint8Array };
  const config = readFileSync(join(bundle.directory, 'config.json'));
  const right = `bytes 0-${config.byteLength - 1}/${config.byteLength}`;
  let answer: Answer = { status: 500, range: null, body: config };
  const server = createServer((_, response) => {
    response.writeHead(answer.status, answer.range === null ? {} : { 'content-range': answer.range });
    response.end(answer.body);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.teardown(() => (server.closeAllConnections(), server.close()));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  const cache = join(root, 'cache');
  const announced = { sha256: sha256(config), bytes: config.byteLength };
  const inputs = fc.record({
    status: fc.constantFrom(200, 206, 206, 206, 206, 301, 401, 403, 416),
    range: fc.constantFrom(
      right,
      right,
      right,
      right,
      null,
      '',
      'bytes */1',
      `bytes 0-${2 ** 53}/${2 ** 53}`,
      `bytes 1-${config.byteLength - 1}/${config.byteLength}`,
    ),
    // Responses of the announced length or longer. The client requests the rest of a shorter one for as long as the job
    // lasts.
    body: mutatedBytes(config).map((bytes) =>
      Buffer.concat([bytes, Buffer.alloc(Math.max(0, config.byteLength - bytes.byteLength))]),
    ),
  });
  const attempt = async (next: Answer) => {
    answer = next;
    rmSync(cache, { recursive: true, force: true });
    const { port } = address;
    // The config in place of the manifest: the first file is refused, because it is not a manifest or not the announced
    // one.
    await fetchBundle(announced, {
      serverUrl: `http://127.0.0.1:${port}`,
      token: 'x',
      cache,
      signal: AbortSignal.timeout(60_000),
      retryMs: 1,
      refusedMs: 1,
    });
    throw new Error('a file that is no manifest was taken for one');
  };
  await fuzz(t, { name: 'answers', inputs, runs: 100, attempt });
});
