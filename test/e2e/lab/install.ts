import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import packageJson from '../../../package.json' with { type: 'json' };
import { ctr } from '../../cluster/lab/containerd.ts';
import type { Lab } from '../../cluster/lab/start.ts';
import { CHART, SYSTEM } from '../../support/chart.ts';
import { IMAGES } from '../../support/lab-images.ts';

/** Redis's pod, and the claim of its volume. */
export const REDIS = { pod: 'fedbiot-redis-0', claim: 'data-fedbiot-redis-0' } as const;

/** The version of an earlier release, and the tag of its images. */
export const OLDER = '0.0.9';

/** The chart without values, in a namespace that enforces the restricted standard. */
export async function install(lab: Lab): Promise<void> {
  await prepareImages(packageJson.version);
  await installFrom(lab, CHART);
}

/** The same chart and images as an earlier release. */
export async function installOlder(lab: Lab): Promise<void> {
  await prepareImages(OLDER);
  await lab.helm(['package', CHART, `--version=${OLDER}`, `--app-version=${OLDER}`, `--destination=${lab.folder}`]);
  await installFrom(lab, join(lab.folder, `fedbiot-${OLDER}.tgz`));
}

/** From the installed release to this one, with an additional setting. */
export async function upgrade(lab: Lab): Promise<void> {
  await prepareImages(packageJson.version);
  await lab.helm(['upgrade', 'fedbiot', CHART, `--namespace=${SYSTEM}`, '--set=logLevel=debug']);
  await rolledOut(lab);
}

/** Runs `helm test` and returns its output. */
export async function smokeTest(lab: Lab): Promise<string> {
  await makeVolume(lab, { namespace: SYSTEM, name: 'fedbiot-test-output' }, '10Gi');
  return await lab.helm(['test', 'fedbiot', `--namespace=${SYSTEM}`, '--timeout=11m']);
}

export async function uninstall(lab: Lab): Promise<void> {
  await lab.helm(['uninstall', 'fedbiot', `--namespace=${SYSTEM}`, '--wait', '--timeout=3m']);
}

async function installFrom(lab: Lab, chart: string): Promise<void> {
  await makeNamespace(lab, SYSTEM);
  await makeVolume(lab, { namespace: SYSTEM, name: REDIS.claim }, '8Gi');
  await lab.helm(['install', 'fedbiot', chart, `--namespace=${SYSTEM}`]);
  await rolledOut(lab);
}

/** The lab pulls nothing: its images get the names in the chart's default values. */
async function prepareImages(version: string): Promise<void> {
  const { redis } = parse(await readFile(join(CHART, 'values.yaml'), 'utf8'));
  const names = {
    [IMAGES.operator]: `docker.io/fedbiot/operator:${version}`,
    [IMAGES.worker]: `docker.io/fedbiot/worker:${version}`,
    [IMAGES.redis]: `${redis.image.registry}/${redis.image.repository}:${redis.image.tag}`,
  };
  for (const [image, name] of Object.entries(names)) await ctr('images', 'tag', '--force', image, name);
}

async function rolledOut(lab: Lab): Promise<void> {
  for (const what of ['statefulset/fedbiot-redis', 'deployment/fedbiot-operator']) {
    await lab.kubectl(['rollout', 'status', what, `--namespace=${SYSTEM}`, '--timeout=300s']);
  }
}

/** A namespace for jobs that enforces the restricted standard. */
export async function makeNamespace(lab: Lab, name: string): Promise<void> {
  await lab.kubectl(['create', 'namespace', name]);
  await lab.kubectl(['label', 'namespace', name, 'pod-security.kubernetes.io/enforce=restricted']);
}

/** A volume for the claim, because the lab has no provisioner. Returns its folder. */
export async function makeVolume(
  lab: Lab,
  claim: { readonly namespace: string; readonly name: string },
  size: string,
): Promise<string> {
  const name = `${claim.namespace}-${claim.name}`;
  const path = join(lab.folder, 'volumes', name);
  await mkdir(path, { recursive: true });
  // A folder of the node keeps its owner, regardless of fsGroup.
  await chmod(path, 0o777);
  const volume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage: size },
      accessModes: ['ReadWriteOnce'],
      claimRef: claim,
      hostPath: { path, type: 'Directory' },
    },
  };
  await lab.kubectl(['apply', '--filename=-'], JSON.stringify(volume));
  return path;
}
