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
  /** Group of the lab's processes. */
  readonly cgroup: string;
}

/** Where the kubelet keeps what containers print: a folder a pod. */
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
    // On a disk: the kubelet wants to know how full it is.
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
  // A machine that is short of space is not what is tested.
  evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
  // Images cannot be fetched again.
  imageGCHighThresholdPercent: 100,
});
