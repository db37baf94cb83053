import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { TlsOptions } from 'node:tls';
import type { Test } from 'tap';

/** Responses of a fake Redis, by command name in lower case. */
export type Answers = (command: string, socket: Socket) => string | Buffer | void;

const INFO = 'redis_version:7.2.0\r\nredis_mode:standalone\r\nloading:0\r\n';

export const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** Responses of a healthy, empty Redis to the operator's commands. */
export function honest(command: string): string {
  if (command === 'info') return bulk(INFO);
  if (command === 'subscribe') return `*3\r\n${bulk('subscribe')}${bulk('fedbiot:progress')}:1\r\n`;
  if (command === 'eval') return `*2\r\n${bulk('0')}:0\r\n`;
  if (command === 'getrange') return bulk('');
  if (command === 'exists' || command === 'unlink') return ':0\r\n';
  return '+OK\r\n';
}

/**
 * A server with the given responses, over TLS if it has a certificate.
 * @returns its port, and the number of connections so far
 */
export async function hostileRedis(
  t: Pick<Test, 'teardown'>,
  answers: Answers,
  tls?: TlsOptions,
): Promise<{ port: number; connections(): number }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const take = (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    // In these tests, commands arrive in one piece, and begin with their number of words.
    socket.on('data', (data) => {
      for (const [, name = ''] of data.toString('latin1').matchAll(/(?:^|\n)\*\d+\r\n\$\d+\r\n([A-Za-z]+)\r\n/g)) {
        const command = name.toLowerCase();
        socket.write(answers(command, socket) ?? honest(command));
      }
    });
  };
  const server = tls === undefined ? createServer(take) : createTlsServer(tls, take);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, connections: () => connections };
}
