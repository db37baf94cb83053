// Pod templates that would break the isolation between a job’s roles, or the restricted pod security standard, are
// refused with the name of the field.
import t from 'tap';
import { mayAnnotate } from '../../operator/plan/annotations.ts';
import { imageName, mayBeSameImage } from '../../crds/image-name.ts';
import { VOLUMES, overlaid, pod, refuses, withVolume } from '../support/overlaid-pod.ts';

t.test('only annotations known to be harmless are allowed', async (t) => {
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
      () => overlaid('server', { metadata: { annotations: { [key]: 'unconfined' } } }),
      /spec\.server\.podTemplate\.metadata\.annotations: .* may not be set/,
    );
  }
  const fine = {
    'prometheus.io/scrape': 'true',
    'sidecar.istio.io/inject': 'false',
    'cluster-autoscaler.kubernetes.io/safe-to-evict': 'false',
    team: 'ml',
  };
  t.match(overlaid('client', { metadata: { annotations: fine } }), { metadata: { annotations: fine } });
  for (const [key, allowed] of [
    ['example.org/owner', ['example.org/']],
    ['example.org/owner', ['example.org/owner']],
  ] as const)
    t.ok(mayAnnotate(key, allowed), 'what the operator was told to allow');
  t.notOk(mayAnnotate('example.org/owners', ['example.org/owner']));
  refuses(
    t,
    () => overlaid('client', { metadata: { labels: { 'azure.workload.identity/use': 'true' } } }),
    /azure\.workload\.identity/,
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

t.test('an image of one role is refused in the other, however it is written', async (t) => {
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
      () => overlaid('client', { spec: { initContainers: [{ name: 'init', image: reference }] } }),
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

t.test('only listed fields of a pod may be set', async (t) => {
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
      () => overlaid('client', { spec: { [field]: {} } }),
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
      () => overlaid('client', { spec: { initContainers: [{ name: 'init', image: 'i', [field]: {} }] } }),
      new RegExp(`initContainers\\[0\\]\\.${field}: may not be set`),
    );
    refuses(
      t,
      () => overlaid('client', { spec: { containers: [{ name: 'worker', [field]: {} }] } }),
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
