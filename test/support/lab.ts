import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { ensureCoreDns } from '../cluster/ensure-coredns.ts';
import { ensureHelm } from '../cluster/ensure-helm.ts';
import { ensureKubernetes } from '../cluster/ensure.ts';
import { makeCgroups, removeCgroups } from '../cluster/lab/cgroups.ts';
import { ALONE, cniFolder, missingForLab } from '../cluster/lab/requirements.ts';
import type { LabParts } from '../cluster/lab/start.ts';
import { IMAGES, buildLabImages } from './lab-images.ts';

/**
 * Runs the test file `program` in new namespaces, in which it starts a lab with the given parts. All of its processes
 * end with the program or with this process, even if these are killed. The test is skipped, with the reason, if no lab
 * can run here.
 */
export async function testInLab(t: Test, name: string, program: string): Promise<void> {
  const found = await findPrograms();
  if ('skip' in found) {
    await t.test(name, { skip: `SKIPPED: ${found.skip}` }, () => {});
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'fedbiot-lab-'));
  const cgroup = `fedbiot-lab-${process.pid}`;
  t.teardown(async () => {
    await removeCgroups(cgroup);
    await rm(folder, { recursive: true, force: true });
  });
  const archives = await buildLabImages(folder);
  if ('skip' in archives) {
    await t.test(name, { skip: `SKIPPED: ${archives.skip}` }, () => {});
    return;
  }
  makeCgroups(cgroup);
  const parts: LabParts = { ...found, folder, cgroup, archives, pauseImage: IMAGES.pause };
  await t.spawn(
    'setpriv',
    [...ALONE, process.execPath, program, JSON.stringify(parts)],
    { env: withSystemPrograms() },
    name,
  );
}

async function findPrograms(): Promise<
  Pick<LabParts, 'kubernetes' | 'coredns' | 'helm' | 'cni'> | { readonly skip: string }
> {
  const missing = missingForLab();
  if (missing !== null) return { skip: missing };
  const kubernetes = await ensureKubernetes();
  if ('skip' in kubernetes) return kubernetes;
  if (!existsSync(join(kubernetes.folder, 'kubelet')))
    return { skip: `${kubernetes.folder} has no kubelet: unset KUBEBUILDER_ASSETS` };
  const coredns = await ensureCoreDns();
  if ('skip' in coredns) return coredns;
  const helm = await ensureHelm();
  if ('skip' in helm) return helm;
  return { kubernetes: kubernetes.folder, coredns: coredns.folder, helm: helm.folder, cni: cniFolder() ?? '' };
}

/** The PATH of an ordinary user lacks folders of programs for root. */
const withSystemPrograms = () => ({ ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` });
