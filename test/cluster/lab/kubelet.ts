import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startComponent } from './component.ts';
import type { Component } from './component.ts';
import { CONTAINERD_SOCKET } from './containerd.ts';
import { NODE_ADDRESS } from './network.ts';

export const NODE = 'node1';

export interface KubeletOptions {
  readonly folder: string;
  readonly logs: string;
  /** Folder of the Kubernetes programs. */
  readonly kubernetes: string;
  readonly kubeconfig: string;
  /** Control group of the lab's processes. */
  readonly cgroup: string;
}

/** The kubelet's folder for the output of containers, with one folder per pod. */
export const podLogs = (folder: string): string => join(folder, 'pods');

export async function startKubelet({
  folder,
  logs,
  kubernetes,
  kubeconfig,
  cgroup,
}: KubeletOptions): Promise<Component> {
  const config = join(folder, 'kubelet.json');
  await mkdir(podLogs(folder), { recursive: true });
  await writeFile(config, JSON.stringify(configuration(folder, cgroup)));
  return startComponent(logs, 'kubelet', join(kubernetes, 'kubelet'), [
    `--config=${config}`,
    `--kubeconfig=${kubeconfig}`,
    `--hostname-override=${NODE}`,
    `--node-ip=${NODE_ADDRESS}`,
    // On a disk, because the kubelet checks how full it is.
    `--root-dir=${join(folder, 'kubelet')}`,
  ]);
}

const configuration = (folder: string, cgroup: string) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  // Only the lab can reach it.
  authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
  authorization: { mode: 'AlwaysAllow' },
  address: NODE_ADDRESS,
  readOnlyPort: 0,
  healthzPort: 0,
  containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/${cgroup}`,
  enforceNodeAllocatable: [],
  failCgroupV1: false,
  failSwapOn: false,
  clusterDNS: [NODE_ADDRESS],
  clusterDomain: 'cluster.local',
  resolvConf: '',
  podLogsDir: podLogs(folder),
  nodeStatusUpdateFrequency: '2s',
  // Tests do not cover a machine that is short of disk space.
  evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  // Images cannot be pulled again.
  imageGCHighThresholdPercent: 100,
});
