import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const EPOCH = '1970-01-01T00:00:00Z';

export interface Image {
  /** Full name including the tag: docker.io/fedbiot/worker:test. */
  readonly reference: string;
  /** Folders that make up the image. Files in later folders replace those in earlier ones. */
  readonly layers: readonly string[];
  readonly command: readonly string[];
}

/**
 * Writes images to `out` in the format of `docker save`. Equal files give equal bytes, and a layer shared by several
 * images is written once. Layers are not compressed, as they stay on this machine. Needs GNU tar.
 */
export async function writeArchive(images: readonly Image[], out: string): Promise<void> {
  const aside = await mkdtemp(`${out}.parts-`);
  try {
    const digests = new Map<string, string>();
    for (const folder of new Set(images.flatMap(({ layers }) => layers)))
      digests.set(folder, await packLayer(folder, aside));
    const manifest = [];
    for (const image of images) {
      const layers = image.layers.map((folder) => digests.get(folder) ?? '');
      const config = JSON.stringify(configOf(image, layers));
      const name = `${createHash('sha256').update(config).digest('hex')}.json`;
      await writeFile(join(aside, name), config);
      manifest.push({ Config: name, RepoTags: [image.reference], Layers: layers.map((digest) => `${digest}.tar`) });
    }
    await writeFile(join(aside, 'manifest.json'), JSON.stringify(manifest));
    await pack(aside, out);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

function configOf({ command }: Image, digests: readonly string[]) {
  return {
    architecture: { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch,
    os: 'linux',
    created: EPOCH,
    config: {
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      Cmd: command,
    },
    rootfs: { type: 'layers', diff_ids: digests.map((digest) => `sha256:${digest}`) },
    history: digests.map(() => ({ created: EPOCH, created_by: 'fedbiot' })),
  };
}

/** Writes the folder as a layer into `into`, named by its digest, which is returned. */
async function packLayer(folder: string, into: string): Promise<string> {
  const aside = join(into, 'layer.tar');
  await pack(folder, aside);
  const hash = createHash('sha256');
  await pipeline(createReadStream(aside), hash);
  const digest = hash.digest('hex');
  await rename(aside, join(into, `${digest}.tar`));
  return digest;
}

async function pack(folder: string, out: string): Promise<void> {
  const names = (await readdir(folder)).sort();
  const same = [
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mode=u+rwX,go+rX,go-w',
    '--hard-dereference',
  ];
  await exec('tar', ['--create', '--file', out, '--directory', folder, ...same, ...names]);
}
