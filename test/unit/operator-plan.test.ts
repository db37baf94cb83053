import t from 'tap';
import fc from 'fast-check';
import { randomInt } from 'node:crypto';
import { parseManifest } from '../../crds/parse.ts';
import { isRecord } from '../../crds/json-schema/node.ts';
import { covers } from '../../operator/plan/covers.ts';
import { configMap } from '../../operator/plan/config-map.ts';
import { credentials as planCredentials } from '../../operator/plan/credentials.ts';
import { InvalidSpec } from '../../operator/plan/invalid-spec.ts';
import { strategicMerge } from '../../operator/plan/merge.ts';
import { eachOwned, namesOf } from '../../operator/objects/owned-objects.ts';
import { clientsPolicy } from '../../operator/plan/network-policies.ts';
import { plannedObjects } from '../../operator/plan/build.ts';
import { plan } from '../../operator/plan/plan.ts';
import { podTemplate } from '../../operator/plan/pod.ts';
import { service } from '../../operator/plan/service.ts';
import { takenNames } from '../../operator/plan/taken-names.ts';
import { clientsJob, serverJob } from '../../operator/plan/worker-job.ts';
import type { JobObject } from '../../operator/objects/job-object.ts';
import type { Observed } from '../../operator/objects/observed.ts';
import type { PlannedObject } from '../../operator/objects/planned.ts';
import { EXIT } from '../../crds/facts/exit-codes.ts';
import { JOB_FILE, MOUNT } from '../../worker/cluster/pod.ts';
import { accessOf, jobObject, NOTHING, SETTINGS, UID } from '../support/planned-job.ts';

const objectsOf = (job: JobObject, observed: Observed = NOTHING) =>
  plannedObjects({ job, observed, settings: SETTINGS, redis: accessOf(job, observed) });
const input = (job: JobObject, observed: Observed = NOTHING) => ({
  job,
  observed,
  settings: SETTINGS,
  redis: accessOf(job, observed),
  outcome: null,
  clientsMayFinish: false,
  toReplace: [],
  podsRun: false,
  now: '2026-01-01T00:00:00Z',
});
const credentials = (job: JobObject, secret: Observed['credentials'], settings = SETTINGS) =>
  planCredentials(job, secret, settings, accessOf(job, { ...NOTHING, credentials: secret }, settings));
const decoded = (object: PlannedObject, key: string) => Buffer.from(object.data?.[key] ?? '', 'base64').toString();
const mountsOf = (job: JobObject, role: 'server' | 'client') => {
  const worker = podTemplate(job, role, SETTINGS).spec.containers[0]?.['volumeMounts'];
  return Array.isArray(worker) ? worker.filter(isRecord).map((mount) => String(mount['mountPath'])) : [];
};

t.test('a new job gets every object, network policies first, and owns them', async (t) => {
  const actions = plan(input(jobObject()));
  const made = actions.flatMap((action) => (action.kind === 'create' ? [action.object] : []));
  t.strictSame(
    made.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    [
      'NetworkPolicy tiny-server',
      'NetworkPolicy tiny-clients',
      'ConfigMap tiny-job',
      'Secret tiny-credentials',
      'Service tiny-server',
      'PersistentVolumeClaim tiny-output',
      'Job tiny-server',
      'Job tiny-clients',
    ],
  );
  for (const { metadata } of made) {
    t.match(metadata.ownerReferences, [{ uid: UID, controller: true, blockOwnerDeletion: true }]);
    t.match(metadata.labels, { 'fedbiot.io/job': 'tiny', 'app.kubernetes.io/managed-by': 'fedbiot-operator' });
  }
});

t.test('what counts of a pod’s end: a cause that all client pods share counts of the server alone', async (t) => {
  const server = serverJob(jobObject(), SETTINGS);
  const clients = clientsJob(jobObject(), SETTINGS);
  const on = (action: string, values: readonly number[]) => ({
    action,
    onExitCodes: { containerName: 'worker', operator: 'In', values },
  });
  const disruption = { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] };
  const { invalid, unavailable, interrupted } = EXIT;
  t.strictSame(server.spec, {
    ...server.spec,
    podFailurePolicy: { rules: [on('FailJob', [invalid]), disruption, on('Ignore', [interrupted])] },
  });
  t.strictSame(clients.spec, {
    ...clients.spec,
    podFailurePolicy: { rules: [on('FailJob', [invalid]), disruption, on('Ignore', [unavailable, interrupted])] },
  });
  const limited = jobObject({ server: { resources: { limits: { memory: '1Gi' } } } });
  t.strictSame(
    serverJob(limited, SETTINGS).spec,
    {
      ...serverJob(limited, SETTINGS).spec,
      podFailurePolicy: {
        rules: [on('FailJob', [invalid]), disruption, on('FailJob', [EXIT.outOfMemory]), on('Ignore', [interrupted])],
      },
    },
    'a pod that needs more than its limit would fail again, unless it was evicted',
  );
  t.strictSame(clientsJob(limited, SETTINGS).spec, clients.spec, 'the other role has no limit');
});

t.test('objects that equal the plan are left alone, others are applied', async (t) => {
  const planned = objectsOf(jobObject());
  const exists = (object: PlannedObject | null) => ({
    ...object,
    metadata: { ...object?.metadata, name: '', resourceVersion: '7' },
  });
  const same = (object: PlannedObject | null) => (object === null ? null : { ...structuredClone(object), status: {} });
  const observed: Observed = {
    ...NOTHING,
    ...eachOwned((key) => same(planned[key])),
    serverJob: { metadata: serverJob(jobObject(), SETTINGS).metadata, spec: { suspend: false } },
    clientsJob: { metadata: clientsJob(jobObject(), SETTINGS).metadata, spec: { suspend: false } },
  };
  t.strictSame(
    plan(input(jobObject(), observed)).map(({ kind }) => kind),
    ['grant'],
    'Redis may have forgotten its users',
  );
  t.match(plan(input(jobObject(), { ...observed, service: exists(planned.service) })), [
    { kind: 'grant' },
    { kind: 'apply', object: { kind: 'Service' } },
  ]);
  t.match(
    plan(input(jobObject({ suspend: true }), observed)),
    [
      { kind: 'suspend', job: { name: 'tiny-server' }, suspend: true },
      { kind: 'suspend', job: { name: 'tiny-clients' }, suspend: true },
      { kind: 'grant' },
    ],
    'what stops pods comes first',
  );
  const ended = {
    ...input(jobObject(), observed),
    outcome: { phase: 'Succeeded', reason: 'Finished', message: '' } as const,
  };
  t.match(plan({ ...ended, clientsMayFinish: true }), [{ kind: 'suspend', job: { name: 'tiny-server' } }]);
  t.equal(plan(ended).length, 2, 'clients that linger go');
  const done = { ...observed.serverJob!, status: { conditions: [{ type: 'Complete', status: 'True' }] } };
  t.strictSame(
    plan({ ...ended, clientsMayFinish: true, observed: { ...observed, serverJob: done } }),
    [],
    'a Job that has ended is left alone',
  );
});

t.test('the token is kept, and the frozen manifest too', async (t) => {
  const job = jobObject();
  const token = decoded(credentials(job, null, SETTINGS), 'token');
  t.match(token, /^[\w-]{43}$/);
  t.equal(decoded(credentials(job, null, { ...SETTINGS }), 'token'), token, 'made again as it was');
  t.not(decoded(credentials(job, null, { ...SETTINGS, secretKey: 'another' }), 'token'), token);
  t.not(
    decoded(credentials({ ...job, metadata: { ...job.metadata, uid: 'another' } }, null, SETTINGS), 'token'),
    token,
  );
  const kept = credentials(
    job,
    { metadata: { name: '' }, data: { token: Buffer.from('o'.repeat(43)).toString('base64') } },
    SETTINGS,
  );
  t.equal(decoded(kept, 'token'), 'o'.repeat(43));
  for (const edited of ['', 'old', `${token}\n`, '%%%']) {
    const mended = credentials(
      job,
      { metadata: { name: '' }, data: { token: Buffer.from(edited).toString('base64') } },
      SETTINGS,
    );
    t.equal(decoded(mended, 'token'), token, `not ${JSON.stringify(edited)}, which no operator made`);
  }
  t.strictSame(
    Object.keys(credentials(jobObject({ redis: { urlFrom: { name: 's', key: 'url' } } }), null, SETTINGS).data ?? {}),
    ['token'],
  );
  t.throws(() => credentials(job, null, { ...SETTINGS, redis: null }), {
    name: 'InvalidSpec',
    message: /spec\.redis: is required/,
  });
  t.equal(configMap(job, { metadata: { name: '' }, data: { [JOB_FILE]: 'frozen' } }).data?.[JOB_FILE], 'frozen');
});

t.test('pods get the CA certificate of the Redis that they use: the job’s, or the operator’s', async (t) => {
  const settings = { ...SETTINGS, redis: { url: 'rediss://redis', ca: 'PEM', port: 6379, namespace: null } };
  const authority = (job: JobObject) => {
    const { spec } = podTemplate(job, 'client', settings);
    const file = spec.containers[0]?.env?.find(({ name }) => name === 'FEDBIOT_REDIS_CA_FILE')?.value;
    return { file, volume: spec.volumes.find(({ name }) => name === 'redis-ca')?.['secret'] };
  };
  const file = `${MOUNT.redisCa}/ca.crt`;
  t.strictSame(authority(jobObject()), {
    file,
    volume: { secretName: 'tiny-credentials', items: [{ key: 'redis-ca.crt', path: 'ca.crt' }] },
  });
  t.equal(decoded(credentials(jobObject(), null, settings), 'redis-ca.crt'), 'PEM');
  const urlFrom = { name: 's', key: 'url' };
  const brought = jobObject({ redis: { urlFrom, tls: { caSecret: { name: 'theirs' } } } });
  t.strictSame(authority(brought), {
    file,
    volume: { secretName: 'theirs', items: [{ key: 'ca.crt', path: 'ca.crt' }] },
  });
  t.strictSame(Object.keys(credentials(brought, null, settings).data ?? {}), ['token']);
  t.strictSame(authority(jobObject({ redis: { urlFrom } })), { file: undefined, volume: undefined });
});

t.test('the manifest that pods read has every default, and nothing that may change', async (t) => {
  const text = configMap(jobObject({ suspend: true, activeDeadlineSeconds: 9 }), null).data?.[JOB_FILE] ?? '';
  t.equal(text, configMap(jobObject(), null).data?.[JOB_FILE]);
  t.strictSame(parseManifest(text, JOB_FILE).spec, jobObject().spec);
});

t.test('the pods of a job have one day: that on which it was made, in UTC, unless the job says another', async (t) => {
  const dateOf = (data: object, creationTimestamp: string) => {
    const job = jobObject({ data: { train: { uri: 't' }, public: { uri: 'p' }, ...data } });
    const text = configMap({ ...job, metadata: { ...job.metadata, creationTimestamp } }, null).data?.[JOB_FILE] ?? '';
    return parseManifest(text, JOB_FILE).spec.data.date;
  };
  t.equal(dateOf({}, '2026-03-07T23:59:59Z'), '2026-03-07');
  t.equal(dateOf({}, '2026-03-07T23:59:59-05:00'), '2026-03-08');
  t.equal(dateOf({ date: '2020-02-29' }, '2026-03-07T23:59:59Z'), '2020-02-29');
});

t.test('pods that read from the hub know its mirror and proxy, and may reach that port alone', async (t) => {
  const hub = {
    HF_ENDPOINT: 'https://mirror.example:8443',
    HTTPS_PROXY: 'http://proxy.infra.svc:3128',
    HTTP_PROXY: 'http://proxy.infra.svc:3128',
  };
  const data = { train: { uri: 'hf://datasets/o/n/t.jsonl' }, public: { uri: 'p.jsonl' } };
  const variables = ['HF_ENDPOINT', 'HTTPS_PROXY'];
  const hubOf = (spec: object, settings = SETTINGS) => {
    const job = jobObject({ data, ...spec });
    const env = podTemplate(job, 'client', settings).spec.containers[0]?.env ?? [];
    const { spec: policy } = clientsPolicy(job, settings, null);
    const { egress } = Object.assign({ egress: [] as { ports: { port: number }[] }[] }, policy);
    return {
      env: env.filter(({ name }) => variables.includes(name)).map(({ name, value }) => `${name}=${value}`),
      rule: egress[3],
    };
  };
  const anywhere = (port: number) => ({ ports: [{ port, protocol: 'TCP' }] });
  t.strictSame(hubOf({}), { env: [], rule: anywhere(443) });
  t.strictSame(hubOf({}, { ...SETTINGS, hub: { HF_ENDPOINT: hub.HF_ENDPOINT } }), {
    env: ['HF_ENDPOINT=https://mirror.example:8443'],
    rule: anywhere(8443),
  });
  t.strictSame(hubOf({}, { ...SETTINGS, hub }), {
    env: ['HF_ENDPOINT=https://mirror.example:8443', 'HTTPS_PROXY=http://proxy.infra.svc:3128'],
    rule: {
      to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'infra' } } }],
      ...anywhere(3128),
    },
  });
  const own = { client: { env: [{ name: 'HTTPS_PROXY', value: 'http://u:p@theirs.example:8080' }] } };
  t.strictSame(hubOf(own, { ...SETTINGS, hub }).rule, anywhere(8080), 'the job’s own wins');
  const layered = {
    client: {
      podTemplate: {
        spec: { containers: [{ name: 'worker', env: [{ name: 'https_proxy', value: 'http://laid.example:9090' }] }] },
      },
    },
  };
  t.strictSame(hubOf(layered).rule, anywhere(9090));
  const secret = { client: { env: [{ name: 'HTTPS_PROXY', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] } };
  t.strictSame(hubOf(secret).rule, anywhere(443), 'what a Secret holds is not known here');
  t.strictSame(hubOf({ client: { env: [{ name: 'HTTPS_PROXY', value: 'nonsense://' }] } }).rule, anywhere(443));
  t.strictSame(
    hubOf({ data: { ...data, train: { uri: 't.jsonl' } } }, { ...SETTINGS, hub }),
    { env: [], rule: undefined },
    'who reads nothing there needs nothing',
  );
});

t.test('names fit where they go, at both ends', async (t) => {
  for (const name of ['a', 'a'.repeat(52), '0'.repeat(52), '7']) {
    const names = namesOf(name);
    for (const value of Object.values(names)) t.match(value, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
    for (const value of [names.serverJob, names.clientsJob, names.service]) t.ok(value.length <= 63, value);
    t.match(names.service, /^[a-z]/, 'a Service begins with a letter');
  }
});

t.test('client pods never mount the server’s volumes, nor the server the clients’', async (t) => {
  const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const source = fc.oneof(
    name.map((claimName) => ({ persistentVolumeClaim: { claimName } })),
    fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => ({ hostPath: { path: `/${parts.join('/')}` } })),
    name.map((reference) => ({ image: { reference } })),
  );
  const extra = fc.array(
    source.map((volume) => ({ name: 'extra', ...volume })),
    { maxLength: 1 },
  );
  const spec = fc.record({
    volumes: fc.record(
      {
        model: source,
        publicData: source,
        clientData: source,
        output: source.filter((volume) => !('image' in volume)),
      },
      { requiredKeys: [] },
    ),
    overlay: fc.record({ server: extra, client: extra }),
  });
  const seed = randomInt(2 ** 31);
  t.comment(`seed ${seed}`);
  let accepted = 0;
  fc.assert(
    fc.property(spec, ({ volumes, overlay }) => {
      const overlaid = (role: 'server' | 'client') => ({ podTemplate: { spec: { volumes: overlay[role] } } });
      const job = jobObject({ volumes, server: overlaid('server'), client: overlaid('client') });
      let pods;
      try {
        pods = {
          server: podTemplate(job, 'server', SETTINGS).spec.volumes,
          client: podTemplate(job, 'client', SETTINGS).spec.volumes,
        };
      } catch (error) {
        if (error instanceof InvalidSpec) return;
        throw error;
      }
      accepted += 1;
      // Compared only by what the objects show: claim, image, path.
      const keys = (list: typeof pods.server) =>
        list.flatMap((volume) => {
          const { persistentVolumeClaim: claim, hostPath, image } = volume;
          if (isRecord(claim)) return [`claim ${String(claim['claimName'])}`];
          if (isRecord(image)) return [`image ${String(image['reference'])}`];
          return isRecord(hostPath) ? [`path ${String(hostPath['path'])}/`] : [];
        });
      const givenTo = (purposes: readonly ('model' | 'publicData' | 'output' | 'clientData')[]) =>
        keys(
          purposes.flatMap((purpose) =>
            volumes[purpose] === undefined ? [] : [{ name: purpose, ...volumes[purpose] }],
          ),
        );
      const clash = (seen: string[], hidden: string[]) =>
        seen.some((a) => hidden.some((b) => a === b || (a.startsWith('path') && (a.startsWith(b) || b.startsWith(a)))));
      if (clash(keys(pods.client), givenTo(['model', 'publicData', 'output'])))
        throw new Error('a client pod sees what is the server’s');
      if (clash(keys(pods.server), givenTo(['clientData'])))
        throw new Error('the server pod sees what is the clients’');
      const paths = mountsOf(job, 'client');
      if ([MOUNT.model, MOUNT.publicData, MOUNT.output].some((path) => paths.includes(path)))
        throw new Error('mounted');
      if (mountsOf(job, 'server').includes(MOUNT.clientData)) throw new Error('mounted');
    }),
    { seed, numRuns: 500 },
  );
  t.ok(accepted > 20, 'enough specs were fit to run');
});

t.test('forbidden fields of a podTemplate are refused by name', async (t) => {
  const laid = (podTemplate_: object, role: 'server' | 'client' = 'client') => {
    const job = jobObject();
    const spec = { ...job.spec, [role]: { ...job.spec[role], podTemplate: podTemplate_ } };
    return podTemplate({ ...job, spec }, role, SETTINGS);
  };
  const refused: [object, RegExp][] = [
    [{ spec: { hostNetwork: true } }, /spec\.client\.podTemplate\.spec\.hostNetwork: may not be set/],
    [{ spec: { serviceAccountName: 'x' } }, /serviceAccountName/],
    [{ spec: { securityContext: {} } }, /securityContext/],
    [{ spec: { automountServiceAccountToken: true } }, /automountServiceAccountToken/],
    [{ spec: { containers: [{ name: 'worker', image: 'x' }] } }, /containers\[0\]\.image/],
    [{ spec: { containers: [{ name: 'other' }] } }, /only the container worker/],
    [{ spec: { containers: [{ name: 'worker', env: [{ name: 'FEDBIOT_JOB_TOKEN', value: 'x' }] }] } }, /FEDBIOT_/],
    [
      { spec: { containers: [{ name: 'worker', volumeMounts: [{ name: 'x', mountPath: '/app/worker' }] }] } },
      /would hide/,
    ],
    [{ spec: { containers: [{ name: 'worker', volumeMounts: [{ name: 'x', mountPath: '/' }] }] } }, /would hide/],
    [
      { spec: { containers: [{ name: 'worker', volumeMounts: [{ name: 'x', mountPath: '/data/../app' }] }] } },
      /absolute path/,
    ],
    [{ spec: { initContainers: [{ name: 'init', securityContext: { privileged: true } }] } }, /securityContext/],
    [
      {
        spec: { initContainers: [{ name: 'init', ports: [{ containerPort: 1 }, { containerPort: 2, hostPort: 80 }] }] },
      },
      /initContainers\[0\]\.ports\[1\]\.hostPort/,
    ],
    [
      { spec: { initContainers: [{ name: 'init', readinessProbe: { httpGet: { host: '10.0.0.1', port: 80 } } }] } },
      /readinessProbe\.httpGet\.host/,
    ],
    [{ spec: { volumes: [{ name: 'model', emptyDir: {} }] } }, /own volume/],
    [{ spec: { volumes: [{ name: 'x', hostPath: { path: '/' } }] } }, /hostPath/],
    [{ spec: { volumes: [{ name: 'x', projected: { sources: [{ serviceAccountToken: {} }] } }] } }, /projected/],
    [{ spec: { volumes: [{ name: 'x', persistentVolumeClaim: { claimName: 'tiny-output' } }] } }, /must not see/],
    [{ metadata: { labels: { 'fedbiot.io/role': 'server' } } }, /operator's own/],
    [{ spec: { $patch: 'replace' } }, /directives/],
  ];
  for (const [patch, message] of refused)
    t.throws(() => laid(patch), { name: 'InvalidSpec', message }, JSON.stringify(patch));

  const fine = laid({
    metadata: { annotations: { a: 'b' }, labels: { team: 'x' } },
    spec: {
      volumes: [
        { name: 'cache', ephemeral: { volumeClaimTemplate: {} } },
        { name: 'certs', secret: { secretName: 's' } },
      ],
      initContainers: [
        {
          name: 'proxy',
          image: 'p',
          restartPolicy: 'Always',
          ports: [{ containerPort: 80 }],
          startupProbe: { tcpSocket: { port: 80 } },
        },
      ],
      containers: [
        {
          name: 'worker',
          env: [{ name: 'HTTPS_PROXY', value: 'p' }],
          resources: { limits: { 'nvidia.com/gpu': 1 } },
          volumeMounts: [{ name: 'certs', mountPath: '/certs' }],
        },
      ],
    },
  });
  t.match(fine, { metadata: { labels: { team: 'x', 'fedbiot.io/role': 'client' }, annotations: { a: 'b' } } });
  const [worker] = fine.spec.containers;
  t.strictSame(worker?.args, ['client', '--provider', 'cuda'], 'a GPU is used');
  t.ok(
    worker?.env?.some(({ name }) => name === 'HTTPS_PROXY') &&
      worker.env.some(({ name }) => name === 'FEDBIOT_JOB_UID'),
  );
  t.strictSame(
    fine.spec.volumes.filter(({ name }) => name === 'cache'),
    [{ name: 'cache', ephemeral: { volumeClaimTemplate: {} } }],
  );
  t.match(fine.spec['initContainers'], [{ name: 'proxy', securityContext: { allowPrivilegeEscalation: false } }]);
});

t.test('without a GPU the worker computes on the CPU', async (t) => {
  const args = (resources: object) =>
    podTemplate(jobObject({ server: { resources } }), 'server', SETTINGS).spec.containers[0]?.args;
  t.strictSame(args({ limits: { cpu: 2 } }), ['server']);
  t.strictSame(args({ limits: { 'nvidia.com/gpu': 0 } }), ['server']);
  t.strictSame(args({ limits: { 'nvidia.com/gpu': '2' } }), ['server', '--provider', 'cuda']);
});

t.test('a strategic merge joins named lists, replaces others, and null removes', async (t) => {
  const base = { a: { b: 1, c: 2 }, env: [{ name: 'x', value: '1' }, { name: 'y' }], list: [1, 2] };
  const merged = strategicMerge(base, {
    a: { b: null, d: 3 },
    env: [{ name: 'x', value: '2' }, { name: 'z' }],
    list: [3],
  });
  t.strictSame(merged, {
    a: { c: 2, d: 3 },
    env: [{ name: 'x', value: '2' }, { name: 'y' }, { name: 'z' }],
    list: [3],
  });
  t.strictSame(base.a, { b: 1, c: 2 });
});

t.test('an object covers a plan when it says all of it', async (t) => {
  t.ok(covers({ a: 1, b: [{ c: 1, d: 2 }] }, { b: [{ c: 1 }] }));
  t.notOk(covers({ b: [{ c: 1 }, { c: 2 }] }, { b: [{ c: 1 }] }));
  t.notOk(covers({ a: 1 }, { a: 2 }));
  t.notOk(covers(null, { a: 1 }));
  t.notOk(covers(null, {}));
});

t.test('the policies let each role reach what it needs', async (t) => {
  const egress = (job: JobObject) => JSON.stringify(objectsOf(job).serverPolicy?.spec);
  t.notMatch(egress(jobObject()), /443/);
  t.match(egress(jobObject({ model: { uri: 'hf://org/name' } })), /443/);
  const toRedis = {
    to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'fedbiot' } } }],
    ports: [{ port: 6379, protocol: 'TCP' }],
  };
  for (const policy of [objectsOf(jobObject()).serverPolicy, objectsOf(jobObject()).clientsPolicy])
    t.match(JSON.stringify(policy?.spec), JSON.stringify(toRedis));
  const own = jobObject({ redis: { urlFrom: { name: 's', key: 'url' } } });
  t.match(JSON.stringify(objectsOf(own, { ...NOTHING, redisPort: 7001 }).clientsPolicy?.spec), /7001/);
});

t.test('objects of others are reported by name', async (t) => {
  const foreign = { metadata: { name: 'tiny-server' } };
  t.strictSame(takenNames(jobObject(), { ...NOTHING, serverJob: foreign }), ['Job tiny-server']);
  const earlier = {
    metadata: {
      ...service(jobObject()).metadata,
      ownerReferences: [{ apiVersion: '', kind: '', name: '', uid: 'other', controller: true }],
    },
  };
  t.strictSame(takenNames(jobObject(), { ...NOTHING, service: earlier }), ['Service tiny-server']);
});
