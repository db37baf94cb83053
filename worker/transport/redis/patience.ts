import { setTimeout as delay } from 'node:timers/promises';
import type { Command, Redis } from 'ioredis';
import { answerOf, unusable } from './answers.ts';
import type { RedisConnection } from './redis-cluster.ts';
import { RedisUnreachable } from './unusable.ts';
import type { RedisUnusable } from './unusable.ts';

/** Hears how Redis takes commands. */
export interface RedisListener {
  /** It refuses one for now, and is asked again. */
  refused(message: string): void;
  /** It has taken one that it had refused. */
  taken(): void;
  /** Something is wrong that the caller need not know: connections come back, entries that are none are passed over. */
  failed(error: Error): void;
}

export const DEAF: RedisListener = { refused: () => undefined, taken: () => undefined, failed: () => undefined };

export interface PatienceOptions {
  /** Names Redis in messages. */
  readonly host: string;
  readonly listener: RedisListener;
  readonly patienceMs?: number;
}

const FIRST_MS = 100;
const LONGEST_MS = 2_000;

/**
 * How long a command is retried while Redis answers and refuses it. A failover is over sooner; a disk or a memory that
 * stays full needs somebody's action, so the error must be reported.
 */
const PATIENCE_MS = 600_000;

/** What a connection sends for itself, and must see fail. */
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
 * Makes a connection's commands wait while Redis refuses them for a reason that passes, as they wait while it is away;
 * those in a pipeline do not. For other answers they throw RedisUnusable.
 * @returns the connection
 */
export function patient<C extends RedisConnection>(redis: C, options: PatienceOptions): C {
  const connection: Sender = redis;
  const sendOnce = connection.sendCommand.bind(redis);
  // A connection sends again by itself what it kept while it was away.
  const known = new WeakSet<Command>();
  const reconnect = () => {
    if (redis.status === 'ready') redis.disconnect(true);
  };
  connection.sendCommand = (command, ...place) => {
    // Before it is ready, it asks INFO whether it can be.
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

/** The warning that a refused command or connection is tried again. */
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
  for (let ms = FIRST_MS; ; ms = Math.min(2 * ms, LONGEST_MS)) {
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
 * The same command, not yet sent. One of a script knows by itself whether the connection that it goes to has the
 * script.
 */
function again(command: Command): Command {
  const options = Reflect.get(command, 'replyEncoding') === 'utf8' ? { replyEncoding: 'utf8' } : {};
  return Reflect.construct(command.constructor, [command.name, command.args, options]);
}
