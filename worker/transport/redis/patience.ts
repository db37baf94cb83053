import { setTimeout as delay } from 'node:timers/promises';
import type { Command, Redis } from 'ioredis';
import { answerOf, unusable } from './answers.ts';
import type { RedisConnection } from './redis-cluster.ts';
import { RedisUnreachable } from './unusable.ts';
import type { RedisUnusable } from './unusable.ts';

/** Receives events about how Redis accepts commands. */
export interface RedisListener {
  /** A command or connection was refused temporarily and is retried. */
  refused(message: string): void;
  /** A command or connection that had been refused was accepted. */
  taken(): void;
  /** A result waits because the server has not read enough of the others. */
  waits(message: string): void;
  /** An error that is handled already: a lost connection reconnects, invalid entries are skipped. */
  failed(error: Error): void;
}

export const DEAF: RedisListener = {
  refused: () => undefined,
  taken: () => undefined,
  waits: () => undefined,
  failed: () => undefined,
};

export interface PatienceOptions {
  /** Name of Redis in messages. */
  readonly host: string;
  readonly listener: RedisListener;
  readonly patienceMs?: number;
}

const FIRST_MS = 100;
const MAX_PAUSE_MS = 2_000;

/**
 * How long a command is retried while Redis refuses it. A failover takes less time; a full disk or memory needs action,
 * so the error must be reported.
 */
const PATIENCE_MS = 600_000;

/** Commands that the connection itself sends, whose errors it must see. */
const OWN = new Set([
  'auth',
  'hello',
  'select',
  'client',
  'readonly',
  'asking',
  'cluster',
  'quit',
  'subscribe',
  'unsubscribe',
]);

interface Sender {
  sendCommand(command: Command, stream?: Parameters<Redis['sendCommand']>[1], node?: unknown): unknown;
}

/**
 * Retries a connection's commands while Redis refuses them temporarily, as they wait while it is down; commands in a
 * pipeline are not retried. Other error replies throw RedisUnusable.
 * @returns the connection
 */
export function patient<C extends RedisConnection>(redis: C, options: PatienceOptions): C {
  const connection: Sender = redis;
  const sendOnce = connection.sendCommand.bind(redis);
  // After a reconnect, the connection sends kept commands again by itself.
  const known = new WeakSet<Command>();
  const reconnect = () => {
    if (redis.status === 'ready') redis.disconnect(true);
  };
  connection.sendCommand = (command, ...place) => {
    // Before it is ready, the connection sends INFO as its ready check.
    const isOwn =
      place.length > 0 || OWN.has(command.name.toLowerCase()) || (command.name === 'info' && redis.status !== 'ready');
    if (isOwn || known.has(command)) return sendOnce(command, ...place);
    const send = async (next: Command) => {
      known.add(next);
      return sendOnce(next);
    };
    return persist(command, send, reconnect, options);
  };
  return redis;
}

/** The warning that a refused command or connection is retried. */
export function retrying({ message, hint = '' }: RedisUnusable): string {
  return `${message}; trying again. ${hint}`;
}

async function persist(
  command: Command,
  send: (command: Command) => Promise<unknown>,
  reconnect: () => void,
  { host, listener, patienceMs = PATIENCE_MS }: PatienceOptions,
): Promise<unknown> {
  const began = performance.now();
  let next = command;
  for (let ms = FIRST_MS; ; ms = Math.min(2 * ms, MAX_PAUSE_MS)) {
    try {
      const reply = await send(next);
      if (next !== command) listener.taken();
      return reply;
    } catch (error) {
      const answer = answerOf(error);
      if (answer === null) throw error;
      const refusal = unusable(answer, host, error);
      if (answer.lasts === 'stays') throw refusal;
      const waited = performance.now() - began;
      if (waited >= patienceMs)
        throw new RedisUnreachable(`${refusal.message}, for ${Math.round(waited / 1000)} s now`, {
          hint: refusal.hint ?? '',
          cause: error,
        });
      listener.refused(retrying(refusal));
      if (answer.lasts === 'elsewhere') reconnect();
    }
    await delay(ms);
    next = again(next);
  }
}

/**
 * A copy of a command that has not been sent. A script's command checks by itself whether its connection has the
 * script.
 */
function again(command: Command): Command {
  const options = Reflect.get(command, 'replyEncoding') === 'utf8' ? { replyEncoding: 'utf8' } : {};
  return Reflect.construct(command.constructor, [command.name, command.args, options]);
}
