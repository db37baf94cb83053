// Ways around the walls between roles, and between a pod and the restricted standard, by what a job may lay over its
// pods: each is refused by name.
import t from 'tap';
import type { Test } from 'tap';
import { mayAnnotate } from '../../operator/plan/annotations.ts';
import { imageName, mayBeSameImage } from '../../operator/plan/image-name.ts';
import type { Role } from '../../crds/facts/role.ts';
import { podTemplate } from '../../operator/plan/pod.ts';
import { jobObject, SETTINGS } from '../support/planned-job.ts';

const VOLUMES = {
  model: { image: { reference: 'models/big:1' } },
  publicData: { persistentVolumeClaim: { claimName: 'public' } },
  clientData: { persistentVolumeClaim: { claimName: 'records' } },
};

/** The role's pod of a job with those volumes; `spec` is checked by no schema here. */
function pod(role: Role, spec: object, volumes: object = VOLUMES) {
  const job = jobObject({ volumes });
  return podTemplate({ ...job, spec: { ...job.spec, ...spec } }, role, SETTINGS);
}

const laid = (role: Role, patch: object) => pod(role, { [role]: { podTemplate: patch, pods: 1, parallelClients: 1 } });
const withVolume = (role: Role, source: object) => laid(role, { spec: { volumes: [{ name: 'x', ...source }] } });
const refuses = (t: Test, make: () => unknown, message: RegExp) =>
  t.throws(make, { name: 'InvalidSpec', message }, String(message));

t.test('annotations are a list of what is known to be harmless', async (t) => {
  for (const key of [
    'container.apparmor.security.beta.kubernetes.io/worker',
    'seccomp.security.alpha.kubernetes.io/pod',
    'container.seccomp.security.alpha.kubernetes.io/worker',
    'security.alpha.kubernetes.io/unsafe-sysctls',
    'io.kubernetes.cri-o.userns-mode',
    'seccomp-profile.kubernetes.cri-o.io',
    'io.katacontainers.config.hypervisor.kernel_params',
    'io.kubernetes.cri-o.Devices/x',
    'cdi.k8s.io/gpu',
    'k8s.v1.cni.cncf.io/networks',
    'devices.nri.io/pod',
    'sidecar.istio.io/userVolume',
    'sidecar.istio.io/proxyImage',
    'inject.istio.io/templates',
    'config.linkerd.io/proxy-image',
    'vault.hashicorp.com/agent-inject',
    'prometheus.io.evil/x',
  ]) {
    t.notOk(mayAnnotate(key, []), key);
    refuses(
      t,
      () => laid('server', { metadata: { annotations: { [key]: 'unconfined' } } }),
      /spec\.server\.podTemplate\.metadata\.annotations: .* may not be set/,
    );
  }
  const fine = {
    'prometheus.io/scrape': 'true',
    'sidecar.istio.io/inject': 'false',
    'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
    team: 'ml',
  };
  t.match(laid('client', { metadata: { annotations: fine } }), { metadata: { annotations: fine } });
  for (const [key, allowed] of [
    ['example.org/owner', ['example.org/']],
    ['example.org/owner', ['example.org/owner']],
  ] as const)
    t.ok(mayAnnotate(key, allowed), 'what the operator was told to allow');
  t.notOk(mayAnnotate('example.org/owners', ['example.org/owner']));
  refuses(
    t,
    () => laid('client', { metadata: { labels: { 'azure.workload.identity/use': 'true' } } }),
    /azure\.workload\.identity/,
  );
});

t.test('a claim that is made with the pod starts empty, on storage that nobody has picked', async (t) => {
  const template = (fields: object) => ({ ephemeral: { volumeClaimTemplate: fields } });
  for (const role of ['server', 'client'] as const) {
    for (const [field, value] of Object.entries({
      dataSource: { kind: 'PersistentVolumeClaim', name: 'records' },
      dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'records' },
      volumeName: 'pv-of-records',
      selector: { matchLabels: { holds: 'records' } },
    })) {
      refuses(
        t,
        () => withVolume(role, template({ spec: { [field]: value } })),
        new RegExp(`volumes\\[0\\]\\.ephemeral\\.volumeClaimTemplate\\.spec\\.${field}: may not be set`),
      );
    }
    refuses(
      t,
      () => withVolume(role, template({ metadata: { annotations: { 'k8s.io/CloneRequest': 'records' } } })),
      /metadata\.annotations: may not be set/,
    );
  }
  const source = template({
    metadata: { labels: { a: 'b' } },
    spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'fast', resources: { requests: { storage: '9Gi' } } },
  });
  t.match(
    withVolume('client', source).spec.volumes.find(({ name }) => name === 'x'),
    source,
  );
});

t.test('drivers that mount shares by name are for claims', async (t) => {
  for (const driver of ['nfs.csi.k8s.io', 'smb.csi.k8s.io', 'file.csi.azure.com', undefined])
    refuses(t, () => withVolume('server', { csi: { driver } }), /csi\.driver: may be secrets-store/);
  refuses(
    t,
    () =>
      withVolume('server', {
        csi: { driver: 'secrets-store.csi.k8s.io', nodePublishSecretRef: { name: 'tiny-credentials' } },
      }),
    /own credentials/,
  );
  t.ok(
    withVolume('server', {
      csi: { driver: 'secrets-store.csi.k8s.io', volumeAttributes: { secretProviderClass: 'p' } },
    }),
  );
});

t.test('a reference is read as container runtimes read it', async (t) => {
  const sha = (digit: string) => `sha256:${digit.repeat(64)}`;
  for (const same of [
    'r/x',
    'r/x:latest',
    'docker.io/r/x',
    'index.docker.io/r/x:latest',
    'registry-1.docker.io/r/x',
    'docker.io:443/r/x',
    'DOCKER.IO/r/x',
  ]) {
    t.strictSame(imageName(same), { repository: 'docker.io/r/x', tag: 'latest', digest: null }, same);
  }
  t.strictSame(imageName('redis:7'), { repository: 'docker.io/library/redis', tag: '7', digest: null });
  t.strictSame(imageName('docker.io/redis:7'), imageName('library/redis:7'));
  t.strictSame(imageName('localhost/x:1').repository, 'localhost/x');
  t.strictSame(imageName('host:5000/a/b'), { repository: 'host:5000/a/b', tag: 'latest', digest: null });
  t.strictSame(imageName(`ghcr.io/a/b:1@${sha('a')}`), { repository: 'ghcr.io/a/b', tag: '1', digest: sha('a') });
  for (const [a, b, same] of [
    ['r/x:1', 'docker.io/r/x:1', true],
    ['r/x:1', 'r/x:2', false],
    ['r/x', 'r/x:latest', true],
    ['r/x:1', `r/x@${sha('a')}`, true],
    [`r/x:1@${sha('a')}`, `r/x:2@${sha('a')}`, true],
    [`r/x@${sha('a')}`, `r/x@${sha('b')}`, false],
    ['ghcr.io/r/x:1', 'r/x:1', false],
  ] as const) {
    t.equal(mayBeSameImage(a, b), same, `${a} ${b}`);
    t.equal(mayBeSameImage(b, a), same);
  }
});

t.test('an image of one side is no image of the other, however it is written', async (t) => {
  refuses(
    t,
    () => pod('server', {}, { ...VOLUMES, clientData: { image: { reference: 'index.docker.io/models/big:1' } } }),
    /spec\.volumes\.clientData: is the same volume/,
  );
  const seen = /must not see/;
  for (const reference of ['docker.io/models/big:1', `models/big@sha256:${'a'.repeat(64)}`]) {
    refuses(t, () => withVolume('client', { image: { reference } }), seen);
    refuses(
      t,
      () => laid('client', { spec: { initContainers: [{ name: 'init', image: reference }] } }),
      /initContainers\[0\]\.image: is an image that client pods must not see/,
    );
    refuses(
      t,
      () => pod('client', { client: { image: reference, pods: 1, parallelClients: 1 } }),
      /spec\.client\.image: is an image that client pods must not see/,
    );
  }
  t.ok(withVolume('server', { image: { reference: 'models/big:1' } }), 'the server has its own');
  t.ok(withVolume('client', { image: { reference: 'models/big:2' } }));
});

t.test('no claim is on both sides, also where neither is one of spec.volumes', async (t) => {
  const shared = {
    podTemplate: { spec: { volumes: [{ name: 'x', persistentVolumeClaim: { claimName: 'scratch' } }] } },
  };
  for (const role of ['server', 'client'] as const) {
    refuses(
      t,
      () => pod(role, { server: shared, client: { ...shared, pods: 1, parallelClients: 1 } }),
      /volumes\[0\]: is a volume that (server|client) pods must not see/,
    );
    t.ok(pod(role, { [role]: { ...shared, pods: 1, parallelClients: 1 } }));
  }
});

t.test('the operator’s volumes are read by whatever container mounts them', async (t) => {
  const mounted = (role: Role, kind: 'containers' | 'initContainers', mount: object) =>
    laid(role, {
      spec: {
        [kind]: [
          {
            name: kind === 'containers' ? 'worker' : 'init',
            ...(kind === 'containers' ? {} : { image: 'i' }),
            volumeMounts: [mount],
          },
        ],
      },
    });
  for (const kind of ['containers', 'initContainers'] as const) {
    refuses(
      t,
      () => mounted('server', kind, { name: 'model', mountPath: '/m' }),
      /volumeMounts\[0\]\.readOnly: must be true: model/,
    );
    refuses(
      t,
      () => mounted('client', kind, { name: 'client-data', mountPath: '/m', readOnly: false }),
      /readOnly: must be true/,
    );
    t.ok(mounted('server', kind, { name: 'model', mountPath: '/m', readOnly: true }));
    t.ok(mounted('server', kind, { name: 'output', mountPath: '/m' }));
    t.ok(mounted('client', kind, { name: 'cache', mountPath: '/m' }));
  }
});

t.test('the job’s own credentials are given out by the operator alone', async (t) => {
  const env = [{ name: 'OTHER', valueFrom: { secretKeyRef: { name: 'tiny-credentials', key: 'token' } } }];
  refuses(
    t,
    () => pod('client', { client: { env, pods: 1, parallelClients: 1 } }),
    /spec\.client\.env\[0\]\.valueFrom\.secretKeyRef: is the Secret/,
  );
  refuses(t, () => laid('client', { spec: { containers: [{ name: 'worker', env }] } }), /own credentials/);
  refuses(
    t,
    () => laid('client', { spec: { initContainers: [{ name: 'init', image: 'i', env }] } }),
    /initContainers\[0\]\.env\[0\]/,
  );
  refuses(t, () => withVolume('client', { secret: { secretName: 'tiny-credentials' } }), /own credentials/);
});

t.test('folders in which a node keeps what is other pods’ are nobody’s model or data', async (t) => {
  for (const path of [
    '/',
    '/var',
    '/var/lib/kubelet/pods',
    '/var/lib//./kubelet',
    '/proc/1/root',
    '/run/containerd',
    '/dev',
  ]) {
    refuses(
      t,
      () => pod('server', {}, { publicData: { hostPath: { path } } }),
      /spec\.volumes\.publicData\.hostPath\.path: exposes/,
    );
  }
  for (const path of ['/data', '/var/data', '/var/lib/kubelets', '/mnt/proc'])
    t.ok(pod('server', {}, { publicData: { hostPath: { path } } }), path);
});

t.test('every field of a pod that may be set is one of a list', async (t) => {
  for (const field of [
    'hostNetwork',
    'hostPID',
    'hostIPC',
    'hostUsers',
    'shareProcessNamespace',
    'serviceAccountName',
    'serviceAccount',
    'automountServiceAccountToken',
    'ephemeralContainers',
    'securityContext',
    'nodeName',
    'os',
    'hostname',
    'subdomain',
    'readinessGates',
    'schedulingGates',
    'restartPolicy',
    'activeDeadlineSeconds',
    'enableServiceLinks',
    'overhead',
    'resources',
  ]) {
    refuses(
      t,
      () => laid('client', { spec: { [field]: {} } }),
      new RegExp(`podTemplate\\.spec\\.${field}: may not be set`),
    );
  }
  for (const field of [
    'securityContext',
    'lifecycle',
    'envFrom',
    'volumeDevices',
    'stdin',
    'restartPolicyRules',
    'terminationMessagePath',
  ]) {
    refuses(
      t,
      () => laid('client', { spec: { initContainers: [{ name: 'init', image: 'i', [field]: {} }] } }),
      new RegExp(`initContainers\\[0\\]\\.${field}: may not be set`),
    );
    refuses(
      t,
      () => laid('client', { spec: { containers: [{ name: 'worker', [field]: {} }] } }),
      new RegExp(`containers\\[0\\]\\.${field}: may not be set`),
    );
  }
  for (const kind of [
    'hostPath',
    'projected',
    'nfs',
    'iscsi',
    'cephfs',
    'rbd',
    'glusterfs',
    'fc',
    'flexVolume',
    'gitRepo',
    'azureDisk',
    'awsElasticBlockStore',
    'local',
  ]) {
    refuses(t, () => withVolume('server', { [kind]: {} }), new RegExp(`volumes\\[0\\]\\.${kind}: may not be set`));
  }
});
