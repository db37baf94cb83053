import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { findProgram } from '../cluster/lab/requirements.ts';
import { run } from '../cluster/run.ts';
import { until } from './until.ts';

const Config = Type.Object({
  User: Type.String(),
  WorkingDir: Type.String(),
  StopSignal: Type.Optional(Type.String()),
  Env: Type.Array(Type.String()),
  Cmd: Type.Array(Type.String()),
  Labels: Type.Record(Type.String(), Type.String()),
});

const Manifest = Type.Array(
  Type.Object({ Config: Type.String(), RepoTags: Type.Array(Type.String()), Layers: Type.Array(Type.String()) }),
);

/** An image's files in a folder, and how to run it. */
export interface ImageRoot {
  readonly folder: string;
  readonly reference: string;
  readonly config: Static<typeof Config>;
}

/** Unpacks an archive in the format of `docker save` that contains one image. */
export async function unpackImage(archive: string, folder: string): Promise<ImageRoot> {
  const parts = `${folder}.parts`;
  for (const path of [folder, parts]) await mkdir(path);
  await run('tar', ['--extract', '--file', archive, '--directory', parts]);
  const [entry] = Value.Parse(Manifest, JSON.parse(await readFile(join(parts, 'manifest.json'), 'utf8')));
  if (entry === undefined) throw new Error(`${archive} has no image`);
  for (const layer of entry.Layers)
    await run('tar', ['--extract', '--file', join(parts, layer), '--directory', folder]);
  const { config } = Value.Parse(
    Type.Object({ config: Config }),
    JSON.parse(await readFile(join(parts, entry.Config), 'utf8')),
  );
  return { folder, reference: entry.RepoTags[0] ?? '', config };
}

const MOUNTS = `set -e
root=$1 output=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount --bind "$output" "$root/output"
mount -o remount,bind,ro "$root"
exec "$@"`;

/** A program that runs as in a pod. */
export interface Contained {
  /** Its output, once it has ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
  /** Sends a signal to the program, which is the first process of its namespace. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/**
 * Runs a command on the image's files, with the user, working folder and environment that the image defines, as the
 * first process of a namespace. The root is read-only, /tmp is empty, and /output is the folder `output`.
 */
export async function startIn(
  { folder, config }: ImageRoot,
  command: readonly string[],
  output: string,
): Promise<Contained> {
  for (const path of ['proc', 'dev', 'output']) await mkdir(join(folder, path), { recursive: true });
  const [user, group] = config.User.split(':');
  const inside = [
    findProgram('unshare'),
    `--root=${folder}`,
    `--wd=${config.WorkingDir}`,
    `--setgid=${group}`,
    `--setuid=${user}`,
    ...command,
  ];
  const child = spawn(
    findProgram('unshare'),
    [
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      'sh',
      '-c',
      MOUNTS,
      'sh',
      folder,
      output,
      'env',
      '-i',
      ...config.Env,
      ...inside,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  return { ended: endOf(child), kill: async (signal) => void process.kill(await firstProcess(child), signal) };
}

function endOf(child: ChildProcess): Contained['ended'] {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

async function firstProcess({ pid }: ChildProcess): Promise<number> {
  const children = await until('the program runs', 30, () =>
    readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => null),
  );
  return Number(children.trim());
}
