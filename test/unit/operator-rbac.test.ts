import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import { parseAllDocuments } from 'yaml';
import { parseManifest } from '../../crds/parse.ts';
import { plannedObjects } from '../../operator/plan/plan.ts';
import type { JobObject } from '../../operator/reconcile/ports.ts';
import { NOTHING } from '../support/planned-job.ts';

const folder = new URL('../../operator/rbac/', import.meta.url);

const strings = Type.Array(Type.String());
const Manifest = Type.Object({
  kind: Type.String(),
  metadata: Type.Object({ name: Type.String(), namespace: Type.Optional(Type.String()), labels: Type.Record(Type.String(), Type.String()) }),
  rules: Type.Optional(
    Type.Array(Type.Object({ apiGroups: strings, resources: strings, verbs: strings, resourceNames: Type.Optional(strings) })),
  ),
  roleRef: Type.Optional(Type.Object({ kind: Type.String(), name: Type.String() })),
  subjects: Type.Optional(Type.Array(Type.Object({ kind: Type.String(), name: Type.String(), namespace: Type.String() }))),
});

const manifests = readdirSync(folder).flatMap((file) =>
  parseAllDocuments(readFileSync(new URL(file, folder), 'utf8')).map((document) => Value.Parse(Manifest, document.toJS())),
);

/** `group/resource verb`, for every verb that a role grants. */
function grants(kind: string, name: string): string[] {
  const role = manifests.find((each) => each.kind === kind && each.metadata.name === name);
  return (role?.rules ?? [])
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${group}/${resource} ${verb}`))),
    )
    .sort();
}

const each = (resource: string, verbs: string): string[] => verbs.split(' ').map((verb) => `${resource} ${verb}`);

const manifest = parseManifest(readFileSync(new URL('../../examples/quickstart.yaml', import.meta.url), 'utf8'), 'quickstart.yaml');
const job: JobObject = { ...manifest, metadata: { name: 'tune', namespace: 'team', uid: 'u-1' } };

/** The resource of an object, as rules name it. */
function resourceOf({ apiVersion, kind }: { apiVersion: string; kind: string }): string {
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return `${group}/${kind.toLowerCase().replace(/y$/, 'ie')}s`;
}

t.test('the operator may write the kinds of objects it makes, and needs nothing more', async (t) => {
  const settings = { image: 'fedbiot', redis: { url: 'redis://redis', port: 6379, namespace: null }, logLevel: 'info' };
  const planned = Object.values(plannedObjects({ job, observed: NOTHING, settings, freshToken: 'token' }));
  const kinds = new Set(planned.flatMap((object) => (object === null || object === undefined ? [] : [resourceOf(object)])));
  t.equal(kinds.size, 6);
  const wanted = [
    ...[...kinds].flatMap((resource) => each(resource, 'get list watch create patch')),
    ...each('/pods', 'get list watch'),
    ...each('fedbiot.io/fedbiotjobs', 'get list watch delete'),
    ...each('fedbiot.io/fedbiotjobs/status', 'update patch'),
    ...each('fedbiot.io/fedbiotjobs/finalizers', 'update'),
    ...each('events.k8s.io/events', 'create patch'),
  ];
  t.same(grants('ClusterRole', 'fedbiot-operator'), wanted.sort());
  t.same(grants('ClusterRole', 'fedbiot-operator-reviews'), [
    'apiextensions.k8s.io/customresourcedefinitions get',
    'authentication.k8s.io/tokenreviews create',
    'authorization.k8s.io/subjectaccessreviews create',
  ]);
  t.same(grants('Role', 'fedbiot-operator-lease'), [
    'coordination.k8s.io/leases create',
    'coordination.k8s.io/leases get',
    'coordination.k8s.io/leases update',
  ]);
});

t.test('no rule has a wildcard, and every binding names a role and an account that are there', async (t) => {
  for (const { metadata, rules = [], roleRef, subjects = [] } of manifests) {
    for (const rule of rules) t.notOk([rule.apiGroups, rule.resources, rule.verbs].flat().includes('*'), metadata.name);
    if (roleRef === undefined) continue;
    t.ok(manifests.some(({ kind, metadata: role }) => kind === roleRef.kind && role.name === roleRef.name), `${metadata.name}: role`);
    for (const subject of subjects) {
      t.ok(
        manifests.some(({ kind, metadata: account }) => kind === subject.kind && account.name === subject.name && account.namespace === subject.namespace),
        `${metadata.name}: account`,
      );
    }
  }
});

t.test('view, edit and admin cover jobs, and nobody but the operator writes their status', async (t) => {
  t.same(grants('ClusterRole', 'fedbiot-job-viewer'), ['fedbiotjobs', 'fedbiotjobs/status'].flatMap((resource) => each(`fedbiot.io/${resource}`, 'get list watch')).sort());
  t.same(grants('ClusterRole', 'fedbiot-job-editor'), each('fedbiot.io/fedbiotjobs', 'create update patch delete deletecollection').sort());
  const aggregated = (name: string) =>
    Object.keys(manifests.find(({ metadata }) => metadata.name === name)?.metadata.labels ?? {}).filter((label) => label.startsWith('rbac.'));
  const to = (role: string) => `rbac.authorization.k8s.io/aggregate-to-${role}`;
  t.same(aggregated('fedbiot-job-viewer'), [to('view'), to('edit'), to('admin')]);
  t.same(aggregated('fedbiot-job-editor'), [to('edit'), to('admin')]);
});
