import type { Logger } from 'pino';
import { Compile } from 'typebox/compile';
import Value from 'typebox/value';
import { resolvePresets } from '../../crds/presets.ts';
import { isRecord, pathText } from '../../crds/schema/node.ts';
import { Status } from '../../crds/schema/status.ts';
import { validate } from '../../crds/validate.ts';
import { jobLog } from '../log.ts';
import type { JobObject } from '../reconcile/ports.ts';
import { readMetadata, withoutNulls } from './read-object.ts';
import type { Metadata, Read } from './read-object.ts';
import { RESOURCE } from './resources.ts';

/** A FedBiOTJob as it is stored, whether or not it can be understood. */
export interface JobEntry {
  readonly metadata: Metadata;
  /** null: it breaks the rules, as one may that was made under another version of them. */
  readonly job: JobObject | null;
  /** The job as it was last understood. */
  readonly known: JobObject | null;
}

const statusCheck = Compile(Status);

/** `before`: the entry of that name, if there is one. A job that cannot be understood is logged once a version. */
export function jobReader(before: (namespace: string, name: string) => JobEntry | null, log: Logger): Read<JobEntry> {
  return (value) => {
    const metadata = readMetadata(value);
    if (metadata === null || !isRecord(value)) return null;
    const previous = before(metadata.namespace, metadata.name);
    const same = previous?.metadata.uid === metadata.uid ? previous : null;
    const result = understood(value, metadata, same);
    if ('job' in result) return { metadata, job: result.job, known: result.job };
    if (same?.metadata.resourceVersion !== metadata.resourceVersion) {
      jobLog(log, metadata.namespace, metadata.name).error({ problem: result.problem }, 'the job is not valid and is left alone');
    }
    return { metadata, job: null, known: same?.known ?? null };
  };
}

function understood(value: Readonly<Record<string, unknown>>, metadata: Metadata, before: JobEntry | null): { job: JobObject } | { problem: string } {
  const { apiVersion, kind } = RESOURCE.fedbiotJob;
  const spec = specOf(value, metadata, before);
  if (typeof spec === 'string') return { problem: spec };
  if (value['status'] === undefined || value['status'] === null) return { job: { apiVersion, kind, metadata, spec } };
  // A newer operator may have written more.
  const status = withoutNulls(Value.Clean(Status, value['status']));
  return statusCheck.Check(status) ? { job: { apiVersion, kind, metadata, spec, status } } : { problem: 'status: is not what the operator writes' };
}

/** The spec with every default and preset; or what is wrong with it. */
function specOf(value: Readonly<Record<string, unknown>>, metadata: Metadata, before: JobEntry | null): JobObject['spec'] | string {
  // A job's status changes by the second, and its generation only with its spec: checking the rules is what costs.
  const known = before?.job ?? null;
  if (known !== null && metadata.generation !== undefined && known.metadata.generation === metadata.generation) return known.spec;
  const { name, namespace } = metadata;
  const result = validate({ apiVersion: value['apiVersion'], kind: value['kind'], metadata: { name, namespace }, spec: value['spec'] });
  if ('job' in result) return resolvePresets(result.job.spec);
  return result.problems.map(({ path, message }) => `${pathText(path)}: ${message}`).join('; ');
}
