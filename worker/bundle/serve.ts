import { timingSafeEqual } from 'node:crypto';
import fastifyStatic from '@fastify/static';
import type { AddressInfo } from 'node:net';
import { sha256Bytes } from '../files/sha256.ts';
import { boundedServer, USUAL_LIMITS } from '../http/bounded-server.ts';
import type { ConnectionLimits } from '../http/bounded-server.ts';
import { BUNDLE_FILES, MANIFEST_FILE } from './manifest.ts';
import type { WrittenBundle } from './write.ts';

/** Enough connections for all client pods of a job to fetch at the same time. */
const LIMITS: ConnectionLimits = { ...USUAL_LIMITS, total: 2048 };

export interface BundleServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves a bundle's files under /bundle/<id>/, with range requests, to clients that have the job's token. Nothing else
 * is served.
 */
export async function serveBundle(
  bundle: Pick<WrittenBundle, 'directory' | 'sha256'>,
  {
    token,
    port,
    host = '::',
    limits = LIMITS,
  }: { readonly token: string; readonly port: number; readonly host?: string; readonly limits?: ConnectionLimits },
): Promise<BundleServer> {
  const expected = sha256Bytes(`Bearer ${token}`);
  const server = boundedServer(limits);
  server.addHook('onRequest', async (request, reply) => {
    // Digests have equal length, so the time of the comparison does not depend on what was sent.
    if (timingSafeEqual(sha256Bytes(request.headers.authorization ?? ''), expected)) return;
    await reply
      .code(401)
      .header('www-authenticate', 'Bearer')
      .send({ error: 'the token of the job is missing or wrong' });
  });
  await server.register(fastifyStatic, {
    root: bundle.directory,
    serve: false,
    cacheControl: false,
    lastModified: false,
  });
  const names = new Set<string>([MANIFEST_FILE, ...BUNDLE_FILES]);
  server.get<{ Params: { id: string; file: string } }>('/bundle/:id/:file', (request, reply) => {
    const { id, file } = request.params;
    if (id !== bundle.sha256 || !names.has(file)) return reply.callNotFound();
    return reply.sendFile(file);
  });
  await server.listen({ port, host });
  const { port: bound } = server.server.address() as AddressInfo;
  return { port: bound, close: () => server.close() };
}
