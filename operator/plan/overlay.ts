import { isRecord } from '../../crds/json-schema/node.ts';
import { INIT_CONTAINER_FIELDS, PodTemplate as Schema } from '../../crds/schema/pod-template.ts';
import type { JobObject } from '../objects/job-object.ts';
import { annotations, mayAnnotate } from './annotations.ts';
import { InvalidSpec } from './invalid-spec.ts';
import type { Role } from '../../crds/facts/role.ts';
import { RESERVED_LABELS } from '../objects/labels.ts';
import { strategicMerge } from './merge.ts';
import { namesOf } from '../objects/owned-objects.ts';
import { checkMounts, checkReadOnly, checkVolumes } from './overlay-volumes.ts';
import type { PlanSettings } from './settings.ts';
import { isHiddenImage } from '../../crds/pod-volumes.ts';
import { RESTRICTED, WORKER } from './worker-container.ts';
import type { PodTemplate } from './worker-container.ts';

const { metadata: Metadata, spec: Pod } = Schema.properties;

/** The fields that the schema has. A job that was stored under another schema may have more. */
const ALLOWED = {
  template: Object.keys(Schema.properties),
  metadata: Object.keys(Metadata.properties),
  spec: Object.keys(Pod.properties),
  worker: Object.keys(Pod.properties.containers.items.properties),
  initContainer: INIT_CONTAINER_FIELDS,
};

/** Prefix of the variables that the operator sets. */
const RESERVED_ENV = 'FEDBIOT_';

/**
 * Merges the role's podTemplate into the operator's template.
 * @throws InvalidSpec for a field that may not be set
 */
export function overlay(
  job: JobObject,
  role: Role,
  { podAnnotations }: Pick<PlanSettings, 'podAnnotations'>,
  template: PodTemplate,
): PodTemplate {
  const at = `spec.${role}`;
  checkEnv(job, job.spec[role]?.env, `${at}.env`);
  checkImage(job, role, job.spec[role]?.image, `${at}.image`);
  const patch: unknown = job.spec[role]?.podTemplate;
  if (patch === undefined) return template;
  const path = `${at}.podTemplate`;
  const { metadata, spec } = allowed(patch, path, ALLOWED.template);
  checkMetadata(metadata, podAnnotations, `${path}.metadata`);
  const pod = spec === undefined ? {} : allowed(spec, `${path}.spec`, ALLOWED.spec);
  const containers = list(pod['containers'], `${path}.spec.containers`).map((item, index) =>
    workerContainer(job, item, `${path}.spec.containers[${index}]`),
  );
  const initContainers = list(pod['initContainers'], `${path}.spec.initContainers`).map((item, index) =>
    initContainer(job, role, item, `${path}.spec.initContainers[${index}]`),
  );
  const volumes = list(pod['volumes'], `${path}.spec.volumes`);
  checkVolumes(job, role, volumes, `${path}.spec.volumes`);
  const replaced = new Set(volumes.map((volume) => (isRecord(volume) ? volume['name'] : undefined)));
  const base: PodTemplate = {
    ...template,
    spec: { ...template.spec, volumes: template.spec.volumes.filter(({ name }) => !replaced.has(name)) },
  };
  const merged = strategicMerge(base, {
    ...(metadata === undefined ? {} : { metadata }),
    spec: { ...pod, containers, volumes, ...(initContainers.length === 0 ? {} : { initContainers }) },
  });
  return asTemplate(merged, path);
}

function checkMetadata(metadata: unknown, podAnnotations: readonly string[], path: string): void {
  if (metadata === undefined) return;
  const fields = allowed(metadata, path, ALLOWED.metadata);
  for (const field of ALLOWED.metadata) {
    const words = fields[field] === undefined ? {} : record(fields[field], `${path}.${field}`);
    for (const [key, value] of Object.entries(words)) {
      if (typeof value !== 'string') throw new InvalidSpec(`${path}.${field}`, `the value of ${key} must be a string`);
      if (field === 'labels' && RESERVED_LABELS.some((prefix) => key.startsWith(prefix))) {
        throw new InvalidSpec(`${path}.labels`, `${key} is one of the operator's own labels, or requests credentials`);
      }
      if (field === 'annotations' && !mayAnnotate(key, podAnnotations)) {
        throw new InvalidSpec(
          `${path}.annotations`,
          `${key} may not be set: it could weaken the pod's security. Allowed are ${annotations(podAnnotations).join(', ')}, and keys without a dot or slash`,
        );
      }
    }
  }
}

function workerContainer(job: JobObject, value: unknown, path: string): unknown {
  const container = record(value, path);
  if (container['name'] !== WORKER) {
    throw new InvalidSpec(
      path,
      `only the container ${WORKER} can be changed; add a sidecar to initContainers, with restartPolicy: Always`,
    );
  }
  allowed(container, path, ALLOWED.worker);
  checkEnv(job, container['env'], `${path}.env`);
  const mounts = list(container['volumeMounts'], `${path}.volumeMounts`);
  checkMounts(mounts, `${path}.volumeMounts`);
  checkReadOnly(mounts, `${path}.volumeMounts`);
  return container;
}

function initContainer(job: JobObject, role: Role, value: unknown, path: string): unknown {
  const container = allowed(value, path, ALLOWED.initContainer);
  if (container['name'] === WORKER)
    throw new InvalidSpec(`${path}.name`, `${WORKER} is the name of the operator's container`);
  checkImage(job, role, container['image'], `${path}.image`);
  checkEnv(job, container['env'], `${path}.env`);
  checkReadOnly(list(container['volumeMounts'], `${path}.volumeMounts`), `${path}.volumeMounts`);
  checkNetwork(container, path);
  return { ...container, securityContext: RESTRICTED };
}

/**
 * Refuses ports of the node and probes of other hosts, which the pod security standard forbids in addition to what
 * RESTRICTED covers.
 */
function checkNetwork(container: Readonly<Record<string, unknown>>, path: string): void {
  const refuse = (value: unknown, at: string, names: readonly string[]) => {
    const set = value === undefined ? undefined : names.find((name) => name in record(value, at));
    if (set !== undefined) throw new InvalidSpec(`${at}.${set}`, 'may not be set: it affects the node or other hosts');
  };
  list(container['ports'], `${path}.ports`).forEach((port, index) =>
    refuse(port, `${path}.ports[${index}]`, ['hostPort', 'hostIP']),
  );
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[name] === undefined ? {} : record(container[name], `${path}.${name}`);
    for (const kind of ['httpGet', 'tcpSocket']) refuse(probe[kind], `${path}.${name}.${kind}`, ['host']);
  }
}

function checkEnv(job: JobObject, value: unknown, path: string): void {
  list(value, path).forEach((item, index) => {
    const at = `${path}[${index}]`;
    const { name, valueFrom = {} } = record(item, at);
    if (typeof name !== 'string') throw new InvalidSpec(`${at}.name`, 'must be a string');
    if (name.startsWith(RESERVED_ENV))
      throw new InvalidSpec(`${at}.name`, `names that begin with ${RESERVED_ENV} are the operator's own`);
    const { secretKeyRef } = record(valueFrom, `${at}.valueFrom`);
    if (isRecord(secretKeyRef) && secretKeyRef['name'] === namesOf(job.metadata.name).credentials) {
      throw new InvalidSpec(
        `${at}.valueFrom.secretKeyRef`,
        "is the Secret with the job's own credentials; each role may see only a part of it",
      );
    }
  });
}

function checkImage(job: JobObject, role: Role, image: unknown, path: string): void {
  if (typeof image === 'string' && isHiddenImage(job, role, image))
    throw new InvalidSpec(path, `is an image that ${role} pods must not see: it is a volume of the other role`);
}

function allowed(value: unknown, path: string, names: readonly string[]): Readonly<Record<string, unknown>> {
  const fields = record(value, path);
  for (const name of Object.keys(fields)) {
    if (!names.includes(name))
      throw new InvalidSpec(`${path}.${name}`, `may not be set; allowed are ${names.join(', ')}`);
  }
  return fields;
}

function record(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw new InvalidSpec(path, 'must be an object');
  const directive = Object.keys(value).find((name) => name.startsWith('$'));
  if (directive !== undefined) throw new InvalidSpec(`${path}.${directive}`, 'merge directives are not supported');
  return value;
}

function list(value: unknown, path: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new InvalidSpec(path, 'must be a list');
  return value;
}

/** A patch must not remove the parts of a template, or change their types. */
function asTemplate(merged: unknown, path: string): PodTemplate {
  if (!isTemplate(merged)) throw new InvalidSpec(path, 'does not result in a valid pod');
  return merged;
}

function isTemplate(value: unknown): value is PodTemplate {
  if (!isRecord(value) || !isRecord(value['metadata']) || !isRecord(value['spec'])) return false;
  const { containers, volumes } = value['spec'];
  return isRecord(value['metadata']['labels']) && Array.isArray(containers) && Array.isArray(volumes);
}
