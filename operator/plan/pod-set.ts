import type { Role } from '../../crds/facts/role.ts';
import type { Observed } from '../objects/observed.ts';
import { assignmentOf, isAdmitted } from '../objects/workload.ts';
import type { PodChanges } from '../objects/workload.ts';
import { InvalidSpec } from './invalid-spec.ts';
import type { PodTemplate } from './worker-container.ts';

/** The pods of a role as Kueue has admitted them. */
export interface PodSet {
  /** Number of pods; null: as many as the job asks for. */
  readonly count: number | null;
  /** What the assigned flavors and the admission checks add to the pods. */
  readonly changes: readonly PodChanges[];
}

/** null: the job is in no queue, or not admitted. */
export function podSetOf({ workload, kueue }: Pick<Observed, 'workload' | 'kueue'>, role: Role): PodSet | null {
  if (workload === null || !isAdmitted(workload)) return null;
  const { admissionChecks = [] } = workload.status ?? {};
  const assigned = assignmentOf(workload, role);
  const flavors = [...new Set(Object.values(assigned?.flavors ?? {}))];
  return {
    count: assigned?.count ?? null,
    changes: [
      ...flavors.flatMap((name) => kueue.flavors.get(name) ?? []),
      ...admissionChecks.flatMap(({ podSetUpdates = [] }) => podSetUpdates.filter(({ name }) => name === role)),
    ],
  };
}

/**
 * The template with the changes.
 * @throws InvalidSpec if they contradict each other or the template: no node would fit
 */
export const withChanges = (template: PodTemplate, role: Role, changes: readonly PodChanges[]): PodTemplate =>
  changes.reduce((changed, change) => withChange(changed, role, change), template);

function withChange(
  { metadata, spec }: PodTemplate,
  role: Role,
  { labels = {}, annotations = {}, nodeSelector = {}, tolerations = [] }: PodChanges,
): PodTemplate {
  const at = `spec.${role}`;
  return {
    metadata: {
      ...metadata,
      labels: united(metadata.labels, labels, `${at}.podTemplate.metadata.labels`),
      annotations: united(metadata.annotations ?? {}, annotations, `${at}.podTemplate.metadata.annotations`),
    },
    spec: {
      ...spec,
      nodeSelector: united(spec.nodeSelector ?? {}, nodeSelector, `${at}.nodeSelector`),
      tolerations: [...(spec.tolerations ?? []), ...tolerations],
    },
  };
}

type Words = Readonly<Record<string, string>>;

function united(own: Words, added: Words, path: string): Words {
  const [key] = Object.entries(added).find(([name, value]) => (own[name] ?? value) !== value) ?? [];
  if (key === undefined) return { ...own, ...added };
  throw new InvalidSpec(path, `${key} is ${own[key]}, but Kueue has admitted the job with ${added[key]}`);
}
