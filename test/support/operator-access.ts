import { SYSTEM } from './chart.ts';
import { rulesOf } from './chart-rules.ts';
import type { RuleFile } from './chart-rules.ts';

const API = 'rbac.authorization.k8s.io';
const NAME = 'fedbiot-operator';

const clusterRole = (name: string, rules: RuleFile, labels: Readonly<Record<string, string>> = {}) => ({
  apiVersion: `${API}/v1`,
  kind: 'ClusterRole',
  metadata: { name, labels },
  rules: rulesOf(rules),
});

const binding = (
  kind: 'ClusterRoleBinding' | 'RoleBinding',
  role: 'ClusterRole' | 'Role',
  name: string,
  namespace?: string,
) => ({
  apiVersion: `${API}/v1`,
  kind,
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  roleRef: { apiGroup: API, kind: role, name },
  subjects: [{ kind: 'ServiceAccount', name: NAME, namespace: SYSTEM }],
});

const list = (...items: readonly object[]) => ({ apiVersion: 'v1', kind: 'List', items });

/**
 * The operator's account in its namespace, with the roles of the chart. It has no permissions in other namespaces yet.
 */
export const operatorAccount = () =>
  list(
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: NAME, namespace: SYSTEM } },
    clusterRole(NAME, 'operator'),
    ...(['reviews', 'kueue'] as const).flatMap((part) => [
      clusterRole(`${NAME}-${part}`, part),
      binding('ClusterRoleBinding', 'ClusterRole', `${NAME}-${part}`),
    ]),
    {
      apiVersion: `${API}/v1`,
      kind: 'Role',
      metadata: { name: `${NAME}-lease`, namespace: SYSTEM },
      rules: rulesOf('lease'),
    },
    binding('RoleBinding', 'Role', `${NAME}-lease`, SYSTEM),
    clusterRole('fedbiot-job-viewer', 'job-viewer', { [`${API}/aggregate-to-view`]: 'true' }),
    clusterRole('fedbiot-metrics-reader', 'metrics-reader'),
  );

/** Grants the operator its permissions in a namespace, or in all (null). */
export const operatorIn = (namespace: string | null) =>
  namespace === null
    ? binding('ClusterRoleBinding', 'ClusterRole', NAME)
    : binding('RoleBinding', 'ClusterRole', NAME, namespace);
