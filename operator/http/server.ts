import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyError, FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { boundedServer, USUAL_LIMITS } from '../../worker/http/bounded-server.ts';
import type { ConnectionLimits } from '../../worker/http/bounded-server.ts';
import type { Access } from './access.ts';
import { admitBy } from './admit.ts';
import { PROBLEM_TYPE, PROBLEMS, Problem, problemBody } from './problems.ts';
import type { ProblemKind } from './problems.ts';
import { jobRoutes } from './routes.ts';
import type { JobReader } from './routes.ts';
import { sparing } from './sparing.ts';

/** Many callers of the read API may share the address of one proxy. */
const LIMITS: ConnectionLimits = { ...USUAL_LIMITS, perPeer: 256, total: 1024 };

export interface HttpSettings {
  readonly reader: JobReader;
  readonly access: Access;
  /** Whether metrics require a token whose user may get the URL /metrics. */
  readonly metricsAuth: boolean;
  readonly registry: Registry;
  readonly log: Logger;
  readonly version: string;
  /** What this replica still lacks to lead or stand by; null: nothing. */
  notReady(): string | null;
}

/** A server of probes, metrics and the read API, which does not listen yet. Every replica serves them. */
export async function httpServer({
  reader,
  access,
  metricsAuth,
  registry,
  log,
  version,
  notReady,
}: HttpSettings): Promise<FastifyInstance> {
  const app = boundedServer(LIMITS, { routerOptions: { maxParamLength: 63 } });

  app.setErrorHandler<FastifyError | Problem>((error, request, reply) => {
    const kind = kindOf(error);
    // The caller gets only the kind: the reason may contain data of other users.
    if (PROBLEMS[kind].status >= 500)
      log.error({ err: error.cause ?? error, path: request.routeOptions.url }, 'request failed');
    return reply
      .status(PROBLEMS[kind].status)
      .header('content-type', PROBLEM_TYPE)
      .serializer(JSON.stringify)
      .send(problemBody(kind));
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.status(404).header('content-type', PROBLEM_TYPE).serializer(JSON.stringify).send(problemBody('not-found')),
  );

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'FedBiOT operator',
        description:
          'Reads jobs, their progress and their reports. A caller may read the jobs for which it has get or list on fedbiotjobs.fedbiot.io in the cluster.',
        version,
      },
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'A token that the API server accepts.' },
        },
      },
    },
  });
  await app.register(swaggerUi, { routePrefix: '/docs' });

  const admit = admitBy(access);
  jobRoutes(app, reader, admit);
  const hidden = { schema: { hide: true } };
  app.get('/openapi.json', hidden, () => app.swagger());
  app.get('/healthz', hidden, (_request, reply) => reply.type('text/plain').send('ok\n'));
  app.get('/readyz', hidden, (_request, reply) => {
    const missing = notReady();
    return reply
      .status(missing === null ? 200 : 503)
      .type('text/plain')
      .send(`${missing ?? 'ok'}\n`);
  });
  const metrics = sparing(() => registry.metrics());
  app.get('/metrics', hidden, async (request, reply) => {
    if (metricsAuth) await admit(request, reply, { url: '/metrics' }, 'forbidden-metrics');
    return reply.type(registry.contentType).send(await metrics());
  });
  await app.ready();
  return app;
}

function kindOf(error: FastifyError | Problem): ProblemKind {
  if (error instanceof Problem) return error.kind;
  return error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500 ? 'invalid' : 'internal';
}
