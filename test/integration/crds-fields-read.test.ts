// Every field of the spec is read: by a run, by the operator, or from the pods that the operator creates.
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import t from 'tap';
import { ROLES } from '../../crds/facts/role.ts';
import type { SchemaNode } from '../../crds/json-schema/node.ts';
import { Spec } from '../../crds/schema/spec.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import { QUEUE_LABEL } from '../../operator/objects/workload.ts';
import { podTemplate } from '../../operator/plan/pod.ts';
import { workload } from '../../operator/plan/workload.ts';
import { podMemory } from '../../worker/estimate/job-memory.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { jobObject, NOTHING, SETTINGS } from '../support/planned-job.ts';
import { ReconcileWorld } from '../support/reconcile-world.ts';
import { readInRuns, readJob } from '../support/recorded-manifest.ts';
import { recorded } from '../support/recording.ts';
import { leavesOf, schemaPathText, smallestWith } from '../support/schema-paths.ts';
import type { SchemaPath } from '../support/schema-paths.ts';

const MANIFEST = new URL('../../worker/run/job-manifest.ts', import.meta.url).href;
const RECORDED = new URL('../support/recorded-manifest.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    return found.url === MANIFEST && context.parentURL !== RECORDED ? { ...found, url: RECORDED } : found;
  },
});
const { runTinyJob, writeTinyJob } = await import('../support/tiny-job.ts');
const { plannedModel } = await import('../../worker/run/estimate-job.ts');

/** A run that generates answers and partitions by a field reads everything that other runs read, and more. */
const SECTIONS = {
  data:
    '{ train: { uri: train.jsonl }, public: { uri: public.jsonl }, eval: { uri: eval.jsonl }, ' +
    'partition: { kind: Dirichlet, field: question, alpha: 100 } }',
  evaluation: '{ task: qa, maxNewTokens: 4 }',
};

/** A job with the field at `path`. */
function jobWith([name = '', ...rest]: SchemaPath): JobObject {
  const job = jobObject();
  const fields: Readonly<Record<string, SchemaNode>> = Spec.properties;
  return { ...job, spec: { ...job.spec, [name]: smallestWith(fields[name] ?? {}, name, rest) } };
}

/** The fields of a job that the operator reads when it reconciles it, or copies to its pods. */
async function readByOperator(job: JobObject): Promise<Set<string>> {
  const read = new Set<string>();
  const watched = { ...job, spec: recorded(job.spec, { read, copies: false }) };
  await new ReconcileWorld(watched).turn();
  const labels = { [QUEUE_LABEL]: 'team' };
  workload({ ...watched, metadata: { ...job.metadata, labels } }, SETTINGS, NOTHING);
  const copying = { ...job, spec: recorded(job.spec, { read, copies: true }) };
  JSON.stringify(ROLES.map((role) => podTemplate(copying, role, SETTINGS)));
  return read;
}

t.test('every field of the spec is read', { timeout: 300_000 }, async (t) => {
  const directory = t.testdir();
  const manifest = writeTinyJob(directory, SECTIONS);
  await runTinyJob(manifest, join(directory, 'out'));
  const { spec } = readJob(manifest);
  podMemory(await plannedModel(await openModelDirectory(join(directory, 'model')), spec), spec);

  const unread: string[] = [];
  for (const path of leavesOf(Spec)) {
    const text = schemaPathText(path);
    if (!readInRuns.has(text) && !(await readByOperator(jobWith(path))).has(text)) unread.push(`spec.${text}`);
  }
  t.same(unread, []);
});

t.test('a copy counts as a read only on request', async (t) => {
  const pathsOf = (copies: boolean, use: (value: { a: number; b: { c: number }[] }) => unknown) => {
    const read = new Set<string>();
    use(recorded({ a: 1, b: [{ c: 2 }] }, { read, copies }));
    return [...read];
  };
  t.same(
    pathsOf(false, (value) => value.b.map(({ c }) => c)),
    ['b', 'b[]', 'b[].c'],
  );
  const byKeys = (value: Readonly<Record<string, unknown>>) => Object.keys(value).map((name) => value[name]);
  for (const copy of [JSON.stringify, Object.entries, byKeys, (value: object) => ({ ...value })])
    t.same(pathsOf(false, copy), [], String(copy));
  t.same(pathsOf(true, JSON.stringify), ['a', 'b', 'b[]', 'b[].c']);
});
