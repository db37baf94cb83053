import t from 'tap';
import { LEASE_NAME } from '../../operator/leader/kubernetes-lease.ts';
import { OWNED_RESOURCES } from '../../operator/objects/owned-objects.ts';
import type { Resource } from '../../operator/objects/resources.ts';
import { RULES, rulesOf } from '../support/chart-rules.ts';
import type { RuleFile } from '../support/chart-rules.ts';

/** `group/resource verb` for every verb that one of the chart's files of rules grants. */
function grants(name: RuleFile): string[] {
  return rulesOf(name)
    .flatMap(({ apiGroups = [], resources = [], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`)),
      ),
    )
    .sort();
}

const each = (resource: string, verbs: string): string[] => verbs.split(' ').map((verb) => `${resource} ${verb}`);

/** A resource as RBAC rules name it. */
function ruleName({ apiVersion, plural }: Resource): string {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return `${group}/${plural}`;
}

t.test('the operator may write the kinds of objects it makes, and needs nothing more', async (t) => {
  const kinds = OWNED_RESOURCES.map(ruleName);
  t.equal(kinds.length, 7);
  const wanted = [
    ...kinds.flatMap((resource) => each(resource, 'get list watch create patch')),
    ...each('batch/jobs', 'delete'),
    ...each('kueue.x-k8s.io/workloads', 'delete'),
    ...each('kueue.x-k8s.io/workloads/status', 'patch'),
    ...each('/pods', 'get list watch delete'),
    ...each('fedbiot.io/fedbiotjobs', 'get list watch delete'),
    ...each('fedbiot.io/fedbiotjobs/status', 'update patch'),
    ...each('fedbiot.io/fedbiotjobs/finalizers', 'update'),
    ...each('events.k8s.io/events', 'list create patch'),
  ];
  t.same(grants('operator'), wanted.sort());
  t.same(grants('reviews'), [
    'apiextensions.k8s.io/customresourcedefinitions get',
    'authentication.k8s.io/tokenreviews create',
    'authorization.k8s.io/subjectaccessreviews create',
  ]);
  t.same(grants('kueue'), [
    'kueue.x-k8s.io/resourceflavors get',
    'kueue.x-k8s.io/workloadpriorityclasses get',
    'scheduling.k8s.io/priorityclasses get',
  ]);
  t.same(grants('lease'), [
    'coordination.k8s.io/leases create',
    'coordination.k8s.io/leases get',
    'coordination.k8s.io/leases update',
  ]);
});

t.test('a lease is kept to its name but where it is made', async (t) => {
  t.strictSame(
    rulesOf('lease').map(({ verbs, resourceNames }) => [verbs, resourceNames]),
    [
      [['create'], undefined],
      [['get', 'update'], [LEASE_NAME]],
    ],
  );
});

t.test('no rule has a wildcard', async (t) => {
  for (const name of RULES) {
    for (const { apiGroups = [], resources = [], nonResourceURLs = [], verbs } of rulesOf(name)) {
      t.notOk(
        [...apiGroups, ...resources, ...nonResourceURLs, ...verbs].some((word) => word.includes('*')),
        name,
      );
    }
  }
});

t.test('nobody but the operator writes the status of jobs', async (t) => {
  t.same(
    grants('job-viewer'),
    ['fedbiotjobs', 'fedbiotjobs/status']
      .flatMap((resource) => each(`fedbiot.io/${resource}`, 'get list watch'))
      .sort(),
  );
  t.same(grants('job-editor'), each('fedbiot.io/fedbiotjobs', 'create update patch delete deletecollection').sort());
  t.same(grants('test'), each('fedbiot.io/fedbiotjobs', 'create delete get'));
});

t.test('who may read metrics may read nothing else', async (t) => {
  t.strictSame(rulesOf('metrics-reader'), [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }]);
});
