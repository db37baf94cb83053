// How tools that know nothing of the kind judge a job in each phase: kstatus, and Argo CD by the document’s script.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { Observed } from '../../operator/objects/observed.ts';
import { reportUnreadable } from '../../operator/reconcile/report-unreadable.ts';
import { ensureHealth } from '../cluster/ensure-health.ts';
import { run } from '../cluster/run.ts';
import { batchJob, ended, look, pod, RUNNING, UNSCHEDULABLE, world } from '../support/observed-job.ts';
import { jobObject } from '../support/planned-job.ts';
import { ReconcileWorld } from '../support/reconcile-world.ts';

const DOCUMENT = join(import.meta.dirname, '../../docs/operations/gitops.md');

const built = await ensureHealth();

const Answers = Type.Array(Type.Object({ kstatus: Type.String(), argo: Type.String(), message: Type.String() }));

const BOTH = world({ pods: [pod('server', RUNNING), pod('client', RUNNING)] });
const seen = (observed: Observed, spec: object = {}): JobObject => {
  const job = jobObject(spec);
  return { ...job, status: look(job, observed) };
};
const later = (job: JobObject): JobObject => ({ ...job, metadata: { ...job.metadata, generation: 2 } });
const done = { ...BOTH, serverJob: batchJob('server', ended('Complete', '')) };

/** Jobs, with the verdicts of kstatus and of Argo CD. */
const JOBS: readonly [what: string, job: JobObject, kstatus: string, argo: string][] = [
  ['not seen yet', { ...jobObject(), status: { observedGeneration: -1 } }, 'InProgress', 'Progressing'],
  ['starts', seen(world()), 'InProgress', 'Progressing'],
  ['has no clients', seen(world({ pods: [pod('server', RUNNING)] })), 'InProgress', 'Progressing'],
  ['waits for a GPU', seen(world({ pods: [pod('server', UNSCHEDULABLE)] })), 'InProgress', 'Progressing'],
  ['runs', seen(BOTH), 'Current', 'Healthy'],
  ['was changed', later(seen(BOTH)), 'InProgress', 'Progressing'],
  ['is being suspended', seen(BOTH, { suspend: true }), 'InProgress', 'Suspended'],
  ['is suspended', seen(world(), { suspend: true }), 'Current', 'Suspended'],
  ['succeeded', seen(done), 'Current', 'Healthy'],
  [
    'was changed after its end',
    { ...later(seen(done)), status: look(later(seen(done)), done, 9) },
    'Current',
    'Healthy',
  ],
  ['failed', seen(world({ serverJob: batchJob('server', ended('Failed', 'x')) })), 'Failed', 'Degraded'],
  ['cannot be read', await unreadable(), 'Failed', 'Degraded'],
];

async function unreadable(): Promise<JobObject> {
  const job = jobObject();
  const lab = new ReconcileWorld(job);
  const { metadata } = job;
  const entry = { metadata, problem: 'too deep', isOurs: true, status: {} };
  await reportUnreadable({ ...lab.ports, unreadableJob: () => entry }, metadata.namespace, metadata.name);
  return lab.job ?? job;
}

t.test('kstatus and Argo CD', { skip: 'skip' in built ? `SKIPPED: ${built.skip}` : false }, async (t) => {
  const [, script = ''] = /```lua\n([^]*?)```/.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
  const file = join(t.testdir(), 'health.lua');
  writeFileSync(file, script);
  const program = 'skip' in built ? '' : join(built.folder, 'health');
  const input = JSON.stringify(JOBS.map(([, job]) => job));
  const answers = Value.Parse(Answers, JSON.parse(await run(program, [file], { input })));
  for (const [index, [what, , kstatus, argo]] of JOBS.entries())
    t.match(answers[index], { kstatus, argo }, `a job that ${what}`);
});
