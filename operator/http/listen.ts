import { networkInterfaces } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';

/**
 * Listens on all addresses, IPv6 included if the host has it; returns the port, as 0 chooses any free one.
 * @throws UserError if the port is not available
 */
export async function listen(app: FastifyInstance, port: number): Promise<number> {
  const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ family }) => family === 'IPv6'),
  );
  try {
    await app.listen({ port, host: hasIPv6 ? '::' : '0.0.0.0' });
  } catch (error) {
    throw new UserError(`cannot listen on port ${port}: ${errorMessage(error)}`, {
      hint: 'Choose another with --port; 0 is any free one.',
      cause: error,
    });
  }
  const address = app.server.address();
  return address === null || typeof address === 'string' ? port : address.port;
}
