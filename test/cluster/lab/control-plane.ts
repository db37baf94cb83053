import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  apiServerFlags,
  controllerFlags,
  kubeconfigOf,
  schedulerFlags,
  writeCredentials,
} from '../control-plane-flags.ts';
import { PROGRAM } from '../ensure.ts';
import { startComponent } from './component.ts';
import type { Component } from './component.ts';
import { NODE_ADDRESS } from './network.ts';

/** All ports are free in the lab's network. */
const PORT = 6443;
const URL = `https://${NODE_ADDRESS}:${PORT}`;
const ETCD = 'http://127.0.0.1:2379';

export interface ControlPlane {
  readonly component: Component;
  /** An administrator's token. The node's programs use it too, because tests do not cover their permissions. */
  readonly kubeconfig: string;
}

/** etcd, API server, controllers and scheduler as one process, which starts faster than four and needs less memory. */
export async function startControlPlane(folder: string, logs: string, kubernetes: string): Promise<ControlPlane> {
  const pki = join(folder, 'pki');
  const token = randomBytes(16).toString('hex');
  writeCredentials(pki, token);
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(URL, pki, token)));
  const etcd = [
    '--etcd-dir',
    join(folder, 'etcd'),
    '--etcd-client',
    ETCD,
    '--etcd-peer',
    'http://127.0.0.1:2380',
    '--etcd-log',
    join(logs, 'etcd.log'),
  ];
  const component = startComponent(logs, 'control-plane', join(kubernetes, PROGRAM), [
    ...['all', ...etcd, '--ready', URL],
    ...['--', ...apiServerFlags({ pki, address: NODE_ADDRESS, port: PORT, etcd: ETCD })],
    ...['--', ...controllerFlags(pki, kubeconfig)],
    ...['--', ...schedulerFlags(kubeconfig)],
  ]);
  return { component, kubeconfig };
}
