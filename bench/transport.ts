/**
 * Measures how tasks and results travel through a real Redis, beside the same bytes written and read by plain commands:
 *
 *   npm run bench:transport -- [--clients 4] [--idle 10] > table.md
 *
 * A result includes its task, dispatched, taken and finished, and its share of a round's end. Commands are counted by
 * Redis, those of scripts included.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { Redis } from 'ioredis';
import { redisCommands } from '../test/support/redis-commands.ts';
import { noRedis, startRedis } from '../test/support/redis.ts';
import { jobKeys } from '../worker/cluster/redis-keys.ts';
import { positiveInteger } from '../worker/commands/arguments.ts';
import { sha256 } from '../worker/files/sha256.ts';
import { acquireFence } from '../worker/transport/redis/fence.ts';
import { RedisServerTransport } from '../worker/transport/redis/server.ts';
import { CHUNK_BYTES } from '../worker/transport/redis/chunks.ts';
import { busyWarning, describeHost, machine } from './machine.ts';
import { scoped } from './operator/scope.ts';
import type { Scope } from './operator/scope.ts';
import { table } from './statistics.ts';

interface Options {
  clients: number;
  idle: number;
}

const MIB = 2 ** 20;
/** Sizes of a result in bytes, and how many to send. */
const SIZES = [
  { bytes: Math.round(1.2 * MIB), results: 320 },
  { bytes: 10 * MIB, results: 64 },
] as const;
const RESULTS_PER_ROUND = 32;

const forever = new AbortController().signal;

async function main({ clients, idle }: Options): Promise<void> {
  if (noRedis !== false) throw new Error(noRedis);
  const here = machine();
  const rows: string[][] = [];
  let waiting = 0;
  for (const { bytes, results } of SIZES) {
    process.stderr.write(`${results} results of ${(bytes / MIB).toFixed(1)} MiB\n`);
    const measured = await scoped((scope) => measure(scope, { bytes, results, clients, idle }));
    const raw = await scoped((scope) => plain(scope, bytes, results));
    const { perSecond, commands } = measured;
    waiting = measured.waiting;
    rows.push([`${(bytes / MIB).toFixed(1)} MiB`, perSecond.toFixed(1), raw.toFixed(1), commands.toFixed(1)]);
  }
  process.stdout.write(`${describeHost(here)}.${busyWarning(here)}\n\n`);
  process.stdout.write(
    table([`${clients} clients`, 'results/s', 'plain commands, results/s', 'commands/result'], rows),
  );
  process.stdout.write(`\nWhile a server and ${clients} clients wait: ${waiting.toFixed(1)} commands/s.\n`);
}

interface Setup extends Options {
  readonly bytes: number;
  readonly results: number;
}

async function measure(scope: Scope, { bytes, results, clients, idle }: Setup) {
  const { url } = await startRedis(scope);
  const uid = randomUUID();
  const redis = new Redis(url);
  scope.teardown(() => redis.disconnect());
  const { token } = await acquireFence(redis, jobKeys(uid));
  const server = new RedisServerTransport({ url }, jobKeys(uid), token);
  scope.teardown(() => server.close());
  for (let i = 0; i < clients; i++) {
    const script = join(import.meta.dirname, 'transport-client.ts');
    const child = spawn(process.execPath, [script, url, uid, String(bytes)], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    scope.teardown(async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
  }
  const roundPackage = new TextEncoder().encode('package');
  const sealed = { bytes: roundPackage, sha256: sha256(roundPackage) };
  const collect = async (number: number) => {
    const round = { job: 'bench', round: number, attempt: 1 };
    await server.publish(round, sealed);
    for (let client = 0; client < RESULTS_PER_ROUND; client++)
      await server.dispatch({ ...round, client, sha256: sealed.sha256, bytes: roundPackage.byteLength });
    for (let i = 0; i < RESULTS_PER_ROUND; i++) await (await server.receive(forever))?.read();
    await server.unlink(round);
  };
  // Until every client is ready.
  await collect(1);
  const commands = await redisCommands(redis);
  const began = performance.now();
  for (let i = 0; i < results / RESULTS_PER_ROUND; i++) await collect(2 + i);
  const seconds = (performance.now() - began) / 1000;
  const after = await redisCommands(redis);
  const receiving = server.receive(forever);
  await delay(1000);
  const quiet = await redisCommands(redis);
  await delay(1000 * idle);
  const waiting = ((await redisCommands(redis)) - quiet) / idle;
  await server.close();
  await receiving;
  return { perSecond: results / seconds, commands: (after - commands) / results, waiting };
}

/** Results per second of SET, GETRANGE and UNLINK of the same chunks over one connection. */
async function plain(scope: Scope, bytes: number, results: number): Promise<number> {
  const { url } = await startRedis(scope);
  const redis = new Redis(url);
  scope.teardown(() => redis.disconnect());
  const payload = Buffer.alloc(bytes, 7);
  const began = performance.now();
  for (let i = 0; i < results; i++) {
    for (let at = 0; at < bytes; at += CHUNK_BYTES)
      await redis.set(`${i}:${at}`, payload.subarray(at, at + CHUNK_BYTES));
    for (let at = 0; at < bytes; at += CHUNK_BYTES) await redis.getrangeBuffer(`${i}:${at}`, 0, CHUNK_BYTES);
    for (let at = 0; at < bytes; at += CHUNK_BYTES) await redis.unlink(`${i}:${at}`);
  }
  return (1000 * results) / (performance.now() - began);
}

await main(
  new Command('bench:transport')
    .option('--clients <n>', 'client processes', positiveInteger, 4)
    .option('--idle <seconds>', 'how long to count commands while all wait', positiveInteger, 10)
    .parse()
    .opts<Options>(),
);
