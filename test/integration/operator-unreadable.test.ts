import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { objectPath, RESOURCE } from '../../operator/objects/resources.ts';
import { LABEL, MANAGER } from '../../operator/objects/labels.ts';
import { validJob } from '../fixtures/invalid-jobs.ts';
import { noControllers } from '../support/control-plane.ts';
import { startLab } from '../support/operator-lab.ts';
import { until } from '../support/until.ts';

const SECONDS = 60;
const LEVELS = 3000;

const nested = (levels: number, field = 'a') => `${`{"${field}":`.repeat(levels)}1${'}'.repeat(levels)}`;

/** As text, because code that serialises objects is recursive as well. */
function jobText(name: string, namespace: string, where: (deep: string) => string): string {
  const { model, data } = validJob().spec;
  const [head, tail] = JSON.stringify({
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name, namespace },
    spec: { model, data, server: 'DEEP' },
  }).split('"DEEP"');
  return `${head}${where(nested(LEVELS))}${tail}`;
}

/** All fields of a job that contain objects of another API. */
const PLACES: Readonly<Record<string, (deep: string) => string>> = {
  affinity: (deep) => `{"affinity":${deep}}`,
  'pod-affinity': (deep) => `{"podTemplate":{"spec":{"affinity":${deep}}}}`,
  volumes: (deep) => `{"podTemplate":{"spec":{"volumes":[{"name":"a","emptyDir":${deep}}]}}}`,
  'init-containers': (deep) => `{"podTemplate":{"spec":{"initContainers":[{"name":"a","env":[${deep}]}]}}}`,
  spread: (deep) => `{"podTemplate":{"spec":{"topologySpreadConstraints":[${deep}]}}}`,
  dns: (deep) => `{"podTemplate":{"spec":{"dnsConfig":${deep}}}}`,
};

t.test('an object that cannot be read does not affect others', { skip: noControllers }, async (t) => {
  const lab = await startLab(t);
  const namespace = await lab.namespace('hostile');
  const honest = await lab.namespace('honest');
  const applied = async (name: string, text: string) => {
    const file = join(lab.plane.folder, `${name}.json`);
    writeFileSync(file, text);
    await lab.kubectl('apply', '--filename', file);
  };
  const unreadable = (resource: string) =>
    operator.metric(`fedbiot_operator_unreadable_objects{resource="${resource}"}`);
  const messageOf = (name: string) =>
    lab.kubectl('get', 'fbj', name, '--namespace', namespace, '--output', 'jsonpath={.status.phase} {.status.message}');

  // One object before the operator lists, the others while it watches.
  await applied('affinity', jobText('affinity', namespace, PLACES['affinity'] ?? String));
  const operator = await lab.operator(null);
  await operator.logged('this replica leads');
  for (const [name, where] of Object.entries(PLACES)) await applied(name, jobText(name, namespace, where));

  await lab.createJob(honest, 'tiny', { redis: { urlFrom: { name: 'redis' } } });
  await lab.play(honest, 'tiny', 'server', { kind: 'runs' });
  await lab.jobIn('Running', honest, 'tiny');
  await lab.play(honest, 'tiny', 'server', { kind: 'ends', exitCode: 0 });
  await lab.jobIn('Succeeded', honest, 'tiny');

  for (const name of Object.keys(PLACES)) {
    const message = await until(
      `${name} is told why`,
      SECONDS,
      async () => await messageOf(name).then((text) => (text.includes('levels') ? text : null)),
    );
    t.match(
      message,
      /^Pending The operator ignores the job: spec\.server\..+: is nested more than 64 levels deep$/,
      name,
    );
  }
  t.equal(
    await lab.kubectl(
      'get',
      'fbj',
      'affinity',
      '--namespace',
      namespace,
      '--output',
      'jsonpath={.status.conditions[?(@.type=="Valid")].reason}',
    ),
    'Unreadable',
  );
  await until('an event', SECONDS, async () =>
    /Warning +Unreadable/.test(await lab.kubectl('describe', 'fbj', 'dns', '--namespace', namespace)) ? true : null,
  );
  t.equal(await unreadable('fedbiotjobs'), Object.keys(PLACES).length);
  t.strictSame(await lab.pods(namespace, 'affinity'), [], 'nothing is made for it');
  const status = await messageOf('affinity');
  await lab.kubectl('label', 'fbj', 'affinity', '--namespace', namespace, 'looked=again');
  t.equal(await messageOf('affinity'), status);

  t.test('an object of another kind', async (t) => {
    const path = objectPath(RESOURCE.configMap, honest, 'deep');
    // Fields that are not read may be nested to any depth, here managedFields.
    const fieldsV1: unknown = JSON.parse(nested(LEVELS, 'f:a'));
    const metadata = { name: 'deep', labels: { 'app.kubernetes.io/managed-by': MANAGER, [LABEL.job]: 'tiny' } };
    await lab.create(RESOURCE.configMap, honest, { metadata });
    await lab.api.json('PATCH', path, {
      contentType: 'application/merge-patch+json',
      body: {
        metadata: {
          managedFields: [{ manager: 'deep', operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1 }],
        },
      },
    });
    await lab.createJob(honest, 'later', { redis: { urlFrom: { name: 'redis' } } });
    await lab.play(honest, 'later', 'server', { kind: 'ends', exitCode: 0 });
    await lab.jobIn('Succeeded', honest, 'later');
    t.equal(await unreadable('configmaps'), 0);
  });

  t.test('nothing remains once it is deleted', async (t) => {
    for (const name of Object.keys(PLACES)) await lab.deleteJob(namespace, name);
    await until('none is counted', SECONDS, async () => ((await unreadable('fedbiotjobs')) === 0 ? true : null));
    t.ok(operator.isRunning);
    t.notMatch(operator.output, /Maximum call stack|watch interrupted/);
  });
});
