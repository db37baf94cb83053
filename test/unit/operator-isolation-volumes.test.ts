// Volumes of a pod template that would break the isolation between a job’s roles, or reach the files of other pods.
import t from 'tap';
import type { Role } from '../../crds/facts/role.ts';
import { overlaid, pod, refuses, withVolume } from '../support/overlaid-pod.ts';

t.test('an ephemeral claim starts empty, on storage that the job did not choose', async (t) => {
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
    refuses(t, () => withVolume('server', { csi: { driver } }), /csi\.driver: must be one of secrets-store/);
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
    overlaid(role, {
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
  refuses(t, () => overlaid('client', { spec: { containers: [{ name: 'worker', env }] } }), /own credentials/);
  refuses(
    t,
    () => overlaid('client', { spec: { initContainers: [{ name: 'init', image: 'i', env }] } }),
    /initContainers\[0\]\.env\[0\]/,
  );
  refuses(t, () => withVolume('client', { secret: { secretName: 'tiny-credentials' } }), /own credentials/);
});

t.test('folders in which a node keeps the files of other pods cannot be model or data', async (t) => {
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
