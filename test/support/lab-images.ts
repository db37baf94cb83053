import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findProgram } from '../cluster/lab/requirements.ts';
import { writeArchive } from './image-archive.ts';
import { TARGETS, ensureImages, referenceOf } from './image-build.ts';
import { addProgram } from './image-program.ts';

/** References of the lab's images. They are imported, never pulled. */
export const IMAGES = {
  worker: referenceOf('worker'),
  operator: referenceOf('operator'),
  redis: 'docker.io/fedbiot/redis:test',
  pause: 'docker.io/fedbiot/pause:test',
} as const;

/**
 * Archives of the lab's images: those built from the Dockerfile, and in `folder` those with this machine's programs.
 */
export async function buildLabImages(folder: string): Promise<readonly string[] | { readonly skip: string }> {
  const own = await ensureImages();
  if ('skip' in own) return own;
  return [...TARGETS.map((target) => join(own.folder, `${target}.tar`)), await buildToolImages(folder)];
}

/** Redis of this machine, and the pause program of pods. */
async function buildToolImages(folder: string): Promise<string> {
  const redis = join(folder, 'redis-image');
  const pause = join(folder, 'pause-image');
  for (const name of ['redis-server', 'redis-cli'])
    await addProgram(redis, findProgram(name), `/usr/local/bin/${name}`);
  // Folders that its start in the chart needs.
  for (const name of ['sh', 'sha256sum', 'grep', 'mv']) await addProgram(redis, findProgram(name), `/usr/bin/${name}`);
  await mkdir(join(redis, 'data'));
  await addProgram(pause, findProgram('sleep'), '/usr/local/bin/sleep');
  const out = join(folder, 'tools.tar');
  await writeArchive(
    [
      { reference: IMAGES.redis, layers: [redis], command: ['redis-server'] },
      { reference: IMAGES.pause, layers: [pause], command: ['sleep', 'infinity'] },
    ],
    out,
  );
  for (const layer of [redis, pause]) await rm(layer, { recursive: true });
  return out;
}
