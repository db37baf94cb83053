import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../../cluster/lab/start.ts';
import { IMAGES } from '../../support/lab-images.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** Where the operator and its Redis are. */
export const SYSTEM = 'fedbiot-system';

/** Redis and the operator, as docs/cluster.md has a cluster's administrator install them. */
export async function install(lab: Lab): Promise<void> {
  const apply = async (path: string) => lab.kubectl(['apply', '--server-side', '--filename=-'], withLabImages(await readFile(join(ROOT, path), 'utf8')));
  await makeVolume(lab, { namespace: SYSTEM, name: 'redis-data' }, '8Gi');
  await apply('examples/cluster/namespace.yaml');
  const password = randomBytes(16).toString('hex');
  const url = `redis://:${password}@redis.${SYSTEM}.svc:6379`;
  await lab.kubectl(['create', 'secret', 'generic', 'redis', `--namespace=${SYSTEM}`, `--from-literal=password=${password}`, `--from-literal=url=${url}`]);
  await apply('crds/fedbiotjob.yaml');
  await lab.kubectl(['wait', '--for=condition=Established', 'crd/fedbiotjobs.fedbiot.io', '--timeout=60s']);
  for (const name of ['service-account', 'cluster-role', 'all-namespaces', 'users']) await apply(`operator/rbac/${name}.yaml`);
  await apply('examples/cluster/redis.yaml');
  await rolledOut(lab, 'statefulset/redis');
  await apply('examples/cluster/operator.yaml');
  await rolledOut(lab, 'deployment/fedbiot-operator');
}

/** The lab fetches nothing: where a manifest names an image, it gets the lab's own. */
const withLabImages = (manifest: string) =>
  manifest
    .replaceAll(/[\w./]+\/fedbiot-operator:[\w.]+/g, IMAGES.operator)
    .replaceAll(/[\w./]+\/fedbiot-worker:[\w.]+/g, IMAGES.worker)
    .replaceAll(/[\w./]+\/redis:[\w.-]+/g, IMAGES.redis);

const rolledOut = (lab: Lab, what: string) => lab.kubectl(['rollout', 'status', what, `--namespace=${SYSTEM}`, '--timeout=300s']);

/** A namespace for jobs, in which every pod must meet the restricted standard. */
export async function makeNamespace(lab: Lab, name: string): Promise<void> {
  await lab.kubectl(['create', 'namespace', name]);
  await lab.kubectl(['label', 'namespace', name, 'pod-security.kubernetes.io/enforce=restricted']);
}

/** A volume for the claim, as nothing in the lab makes them; the folder that it is. */
export async function makeVolume(lab: Lab, claim: { readonly namespace: string; readonly name: string }, size: string): Promise<string> {
  const name = `${claim.namespace}-${claim.name}`;
  const path = join(lab.folder, 'volumes', name);
  await mkdir(path, { recursive: true });
  // A folder of the node keeps its owner, whatever fsGroup says.
  await chmod(path, 0o777);
  const volume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: { capacity: { storage: size }, accessModes: ['ReadWriteOnce'], claimRef: claim, hostPath: { path, type: 'Directory' } },
  };
  await lab.kubectl(['apply', '--filename=-'], JSON.stringify(volume));
  return path;
}
