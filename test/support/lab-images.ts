import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { findProgram } from '../cluster/lab/requirements.ts';
import { buildImages } from './image.ts';
import { writeArchive } from './image-archive.ts';
import { addProgram } from './image-program.ts';

/** References of the lab's images. None is ever fetched: they are imported. */
export const IMAGES = {
  worker: 'docker.io/fedbiot/worker:test',
  operator: 'docker.io/fedbiot/operator:test',
  redis: 'docker.io/fedbiot/redis:test',
  pause: 'docker.io/fedbiot/pause:test',
} as const;

/** Archives of the lab's images, made in `folder` of the project's files and this machine's programs. */
export async function buildLabImages(folder: string): Promise<readonly string[]> {
  const own = join(folder, 'images.tar');
  await buildImages(IMAGES, own);
  return [own, await buildToolImages(folder)];
}

/** This machine's Redis, and what only waits: a pod's first process. */
async function buildToolImages(folder: string): Promise<string> {
  const redis = join(folder, 'redis-image');
  const pause = join(folder, 'pause-image');
  await addProgram(redis, findProgram('redis-server'), '/usr/local/bin/redis-server');
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
