import type { Logger } from 'pino';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { errorMessage } from '../../crds/facts/user-error.ts';
import { resolvePresets } from '../../crds/presets.ts';
import { isRecord, pathText } from '../../crds/json-schema/node.ts';
import { Status } from '../../crds/schema/status.ts';
import { MAX_SHOWN, validate } from '../../crds/validate.ts';
import { jobLog } from '../process/log.ts';
import type { JobObject, UnreadableJob } from '../objects/job-object.ts';
import { keptOf, lengthOf, readMetadata } from './read-object.ts';
import type { Metadata, Read } from './read-object.ts';
import { RESOURCE } from '../objects/resources.ts';

/** A FedBiOTJob in the cache, whether or not it is valid. */
export interface JobEntry {
  readonly metadata: Metadata;
  /** null: it cannot be read, or is not valid, such as one created under another version of the rules. */
  readonly job: JobObject | null;
  /** Set if `job` is null. */
  readonly unreadable: UnreadableJob | null;
  /** The last valid state of the job. */
  readonly known: JobObject | null;
}

const statusCheck = Compile(Status);

/** Limit of a job's characters as JSON. Every job is kept in memory; usual ones have a tenth of this. */
const MAX_CHARACTERS = 64 * 1024;

/** `before`: the entry of that name, if there is one. The problem of an invalid job is logged once. */
export function jobReader(before: (namespace: string, name: string) => JobEntry | null, log: Logger): Read<JobEntry> {
  return (value) => {
    const metadata = readMetadata(value);
    if (metadata === null || !isRecord(value)) return null;
    const previous = before(metadata.namespace, metadata.name);
    const same = previous?.metadata.uid === metadata.uid ? previous : null;
    const result = attempted(() => understood(value, metadata, same));
    if ('job' in result) return { metadata, job: result.job, unreadable: null, known: result.job };
    const { problem } = result;
    if (same?.unreadable?.problem !== problem)
      jobLog(log, metadata.namespace, metadata.name).error({ problem }, 'the job is not valid and is ignored');
    const kept = withoutBulk(metadata);
    return {
      metadata: kept,
      job: null,
      unreadable: { metadata: kept, problem, isOurs: isOurs(value), status: standing(value) },
      known: same?.known ?? null,
    };
  };
}

function withoutBulk(metadata: Metadata): Metadata {
  if (lengthOf(metadata) <= MAX_CHARACTERS) return metadata;
  const { labels: _labels, ownerReferences: _owners, ...rest } = metadata;
  return rest;
}

type Result = { readonly job: JobObject } | { readonly problem: string };

/** An error in reading one job must not affect others. */
function attempted(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    return { problem: `cannot be read: ${errorMessage(error)}` };
  }
}

const isOurs = ({ spec }: Readonly<Record<string, unknown>>): boolean =>
  !isRecord(spec) || spec['managedBy'] === undefined;

/** The fields of a status that are read even if the job is not valid. */
const Standing = Type.Pick(Status, ['phase', 'conditions']);
const standingCheck = Compile(Standing);

function standing({ status }: Readonly<Record<string, unknown>>): UnreadableJob['status'] {
  const kept = keptOf(Standing, isRecord(status) ? { ...status } : {});
  return standingCheck.Check(kept) ? kept : {};
}

function understood(value: Readonly<Record<string, unknown>>, metadata: Metadata, before: JobEntry | null): Result {
  const { apiVersion, kind } = RESOURCE.fedbiotJob;
  if (lengthOf([metadata, value['spec']]) > MAX_CHARACTERS)
    return {
      problem: `is larger than a job may be: its labels and its spec have more than ${MAX_CHARACTERS / 1024} KiB`,
    };
  const spec = specOf(value, metadata, before);
  if (typeof spec === 'string') return { problem: spec };
  if (value['status'] === undefined || value['status'] === null) return { job: { apiVersion, kind, metadata, spec } };
  // A newer operator may have written further fields.
  const status = keptOf(Status, value['status']);
  return statusCheck.Check(status)
    ? { job: { apiVersion, kind, metadata, spec, status } }
    : { problem: 'status: does not have the form that the operator writes' };
}

/** The spec with defaults and presets, or its problems as text. */
function specOf(
  value: Readonly<Record<string, unknown>>,
  metadata: Metadata,
  before: JobEntry | null,
): JobObject['spec'] | string {
  // The status changes every few seconds, the generation only with the spec. Validation is expensive.
  const known = before?.job ?? null;
  if (known !== null && metadata.generation !== undefined && known.metadata.generation === metadata.generation)
    return known.spec;
  const { name, namespace } = metadata;
  const result = validate({
    apiVersion: value['apiVersion'],
    kind: value['kind'],
    metadata: { name, namespace },
    spec: value['spec'],
  });
  if ('job' in result) return resolvePresets(result.job.spec);
  const shown = result.problems.slice(0, MAX_SHOWN).map(({ path, message }) => `${pathText(path)}: ${message}`);
  const more = result.problems.length - shown.length;
  return `${shown.join('; ')}${more === 0 ? '' : `; and ${more} more`}`;
}
