import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startComponent } from './component.ts';
import type { Component } from './component.ts';
import { NODE } from './kubelet.ts';
import { NODE_ADDRESS, POD_RANGE } from './network.ts';

/** Forwards a Service's address to its pods. */
export function startProxy(logs: string, kubernetes: string, kubeconfig: string): Component {
  return startComponent(logs, 'kube-proxy', join(kubernetes, 'kube-proxy'), [
    `--kubeconfig=${kubeconfig}`,
    `--hostname-override=${NODE}`,
    '--proxy-mode=iptables',
    `--cluster-cidr=${POD_RANGE}`,
    // These settings apply to the whole machine.
    '--conntrack-max-per-core=0',
    '--conntrack-tcp-timeout-established=0',
    '--conntrack-tcp-timeout-close-wait=0',
  ]);
}

/** Resolves a Service's name to its address, or to those of its pods if it has none. */
export async function startDns(folder: string, logs: string, coredns: string, kubeconfig: string): Promise<Component> {
  const corefile = join(folder, 'Corefile');
  await writeFile(
    corefile,
    `.:53 {
  bind ${NODE_ADDRESS}
  errors
  cache 2
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${kubeconfig}
    ttl 2
  }
}
`,
  );
  return startComponent(logs, 'coredns', join(coredns, 'coredns'), ['-conf', corefile]);
}

/** Fake GPUs, offered by a device plugin like real ones. */
export const startGpus = (logs: string, kubernetes: string, count: number): Component =>
  startComponent(logs, 'gpus', join(kubernetes, 'fake-gpu-plugin'), ['-n', String(count)]);
