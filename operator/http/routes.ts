import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { Static } from 'typebox';
import { Status } from '../../crds/schema/status.ts';
import { JobProgress } from '../../crds/facts/progress.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import type { JobObject } from '../objects/job-object.ts';
import type { Admit } from './admit.ts';
import { Problem, ProblemBody } from './problems.ts';

/** The data of the read API. */
export interface JobReader {
  /** Jobs of all watched namespaces. */
  jobs(): readonly JobObject[];
  getJob(namespace: string, name: string): JobObject | null;
  progressOf(uid: string): JobProgress | null;
  /** The job's report.json, checked; null: there is none. Rejects if Redis does not answer or its data is invalid. */
  reportOf(job: JobObject): Promise<RunReport | null>;
}

const JobParameters = Type.Object({
  namespace: Type.String({ maxLength: 63, description: 'Namespace of the job.' }),
  name: Type.String({ maxLength: 63, description: 'Name of the job.' }),
});
type JobParameters = Static<typeof JobParameters>;

const ListQuery = Type.Object({
  namespace: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 63,
      description: 'Only jobs of this namespace; requires list there only.',
    }),
  ),
});
type ListQuery = Static<typeof ListQuery>;

const JobSummary = Type.Object({
  namespace: Type.String(),
  name: Type.String(),
  uid: Type.String(),
  method: Type.String(),
  createdAt: Type.Optional(Type.String({ description: 'ISO 8601, UTC.' })),
  status: Type.Partial(Status, { description: 'As `kubectl get -o yaml` shows it.' }),
});

const Figures = Type.Object({
  namespace: Type.String(),
  name: Type.String(),
  progress: Type.Union([JobProgress, Type.Null()], {
    description: 'The last progress that the server pod reported; null: none yet.',
  }),
});

/** The report is checked when it is read, and passed on here. */
const Opaque = Type.Object({}, { additionalProperties: true, description: 'As report.json.' });
const Rounds = Type.Object({
  rounds: Type.Array(Opaque, { description: 'One entry per finished round, as in report.json.' }),
});

const refusals = Object.fromEntries([400, 401, 403, 404, 429, 500, 503].map((status) => [status, ProblemBody]));

const describe = (summary: string, answer: Type.TSchema, parameters: object) => ({
  schema: {
    summary,
    tags: ['jobs'],
    security: [{ bearer: [] }],
    ...parameters,
    response: { 200: answer, ...refusals },
  },
});

/** GET only: jobs are changed through the API server. */
export function jobRoutes(app: FastifyInstance, reader: JobReader, admit: Admit): void {
  /** Checks the permission first, so that a caller without it does not learn whether the job exists. */
  const jobOf = async (request: FastifyRequest<{ Params: JobParameters }>, reply: FastifyReply): Promise<JobObject> => {
    const { namespace, name } = request.params;
    await admit(request, reply, { verb: 'get', namespace, name });
    const job = reader.getJob(namespace, name);
    if (job === null) throw new Problem('no-job');
    return job;
  };
  const reportOf = async (job: JobObject): Promise<RunReport> => {
    let report;
    try {
      report = await reader.reportOf(job);
    } catch (error) {
      throw new Problem('unavailable', error);
    }
    if (report === null) throw new Problem('no-report');
    return report;
  };

  const list = describe('Jobs and their status.', Type.Object({ jobs: Type.Array(JobSummary) }), {
    querystring: ListQuery,
  });
  app.get<{ Querystring: ListQuery }>('/api/v1/jobs', list, async (request, reply) => {
    const namespace = request.query.namespace ?? null;
    await admit(request, reply, { verb: 'list', namespace, name: null });
    const jobs = reader.jobs().filter(({ metadata }) => namespace === null || metadata.namespace === namespace);
    return { jobs: jobs.map(summaryOf) };
  });

  const path = '/api/v1/namespaces/:namespace/jobs/:name';
  const params = { params: JobParameters };
  app.get<{ Params: JobParameters }>(path, describe('One job.', JobSummary, params), async (request, reply) =>
    summaryOf(await jobOf(request, reply)),
  );

  const figures = describe("A job's progress, as its server pod last reported it.", Figures, params);
  app.get<{ Params: JobParameters }>(`${path}/metrics`, figures, async (request, reply) => {
    const { metadata } = await jobOf(request, reply);
    return { namespace: metadata.namespace, name: metadata.name, progress: reader.progressOf(metadata.uid) };
  });

  app.get<{ Params: JobParameters }>(
    `${path}/rounds`,
    describe("A job's finished rounds.", Rounds, params),
    async (request, reply) => {
      const { rounds } = await reportOf(await jobOf(request, reply));
      return { rounds };
    },
  );

  app.get<{ Params: JobParameters }>(
    `${path}/report`,
    describe("A job's current report.", Opaque, params),
    async (request, reply) => reportOf(await jobOf(request, reply)),
  );
}

function summaryOf({ metadata, spec, status }: JobObject): Static<typeof JobSummary> {
  const { namespace, name, uid, creationTimestamp } = metadata;
  return {
    namespace,
    name,
    uid,
    method: spec.method,
    ...(creationTimestamp === undefined ? {} : { createdAt: creationTimestamp }),
    status: status ?? {},
  };
}
