import type { Socket } from 'node:net';
import { BadFrame, FrameReader } from './resp-frames.ts';
import type { Frame } from './resp-frames.ts';

/** A server that a user named as a Redis sent an invalid or oversized answer. */
export class UnsafeRedis extends Error {
  override readonly name = 'UnsafeRedis';
}

/** No answer to the commands used here has more. */
const MAX_ITEMS = 16_384;
const MAX_DEPTH = 8;

/** A publication is the name of a job, `namespace/name`. */
const MAX_MESSAGE_BYTES = 1024;
/** Limit of publications in each period. */
const MAX_MESSAGES = 1000;
const PERIOD_MS = 1000;

/** Limit of commands without an answer yet. */
const MAX_ASKED = 10_000;

/**
 * Filters what a client reads from a socket in RESP2: only answers to its commands and publications pass, within limits
 * of size, number and shape. At anything else the socket is destroyed with UnsafeRedis before the client sees the data:
 * the client would allocate announced sizes, and throws uncatchable errors at some unsolicited answers. Publications
 * above `MAX_MESSAGES` per second wait in the socket.
 */
export function guard(socket: Socket, maxReplyBytes: number): void {
  const asked: string[] = [];
  let isSubscriber = false;
  let messages = 0;
  let pause: NodeJS.Timeout | undefined;
  let periodEnds = 0;

  const judge = ({ shape, word }: Frame) => {
    if (isSubscriber && shape === '*$$$' && word === 'message') {
      messages++;
      return;
    }
    const command = asked.shift();
    if (command === undefined) throw new BadFrame('it sends an answer that no command requested');
    if ((command !== 'subscribe' && !isSubscriber) || shape === '-') return;
    if (shape !== '*$$:' || word !== 'subscribe') throw new BadFrame('its answer to SUBSCRIBE is not that of Redis');
    isSubscriber = true;
  };
  const received = new FrameReader(
    { bytes: () => (asked.length === 0 ? MAX_MESSAGE_BYTES : maxReplyBytes), items: MAX_ITEMS, depth: MAX_DEPTH },
    judge,
  );
  const sent = new FrameReader({ bytes: () => Infinity, items: Infinity, depth: 1 }, ({ word }) => {
    if (asked.push(word.toLowerCase()) > MAX_ASKED) throw new BadFrame(`${MAX_ASKED} commands wait for an answer`);
  });
  const refuse = (error: unknown) =>
    void socket.destroy(error instanceof BadFrame ? new UnsafeRedis(error.message) : toError(error));

  const holdBack = () => {
    const now = performance.now();
    if (now >= periodEnds) [periodEnds, messages] = [now + PERIOD_MS, 0];
    if (messages < MAX_MESSAGES || pause !== undefined) return;
    socket.pause();
    pause = setTimeout(() => {
      pause = undefined;
      socket.resume();
    }, periodEnds - now);
  };
  socket.once('close', () => clearTimeout(pause));

  const push = socket.push.bind(socket);
  socket.push = (chunk: unknown, encoding?: BufferEncoding) => {
    try {
      if (chunk instanceof Buffer) received.write(chunk);
    } catch (error) {
      refuse(error);
      return false;
    }
    const goesOn = push(chunk, encoding);
    holdBack();
    return goesOn;
  };

  const write = socket.write.bind(socket);
  socket.write = (chunk: string | Uint8Array, ...rest: []) => {
    try {
      sent.write(
        typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength),
      );
    } catch (error) {
      refuse(error);
      return false;
    }
    return write(chunk, ...rest);
  };
}

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
