import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PROGRAM } from '../ensure.ts';
import { startComponent } from './component.ts';
import type { Component } from './component.ts';
import { NODE_ADDRESS, SERVICE_RANGE } from './network.ts';

/** In the lab's own network no port is taken. */
const URL = `https://${NODE_ADDRESS}:6443`;
const ETCD = 'http://127.0.0.1:2379';

export interface ControlPlane {
  readonly component: Component;
  /** Of an administrator, whom the node's programs pass for: what they may do is not what is tested. */
  readonly kubeconfig: string;
}

/** etcd, API server, controllers and scheduler as one process. */
export async function startControlPlane(folder: string, logs: string, kubernetes: string): Promise<ControlPlane> {
  const pki = join(folder, 'pki');
  await mkdir(pki, { recursive: true });
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
  });
  await writeFile(join(pki, 'accounts.pub'), publicKey);
  await writeFile(join(pki, 'accounts.key'), privateKey);
  const token = randomBytes(16).toString('hex');
  await writeFile(join(pki, 'tokens.csv'), `${token},admin,admin,system:masters\n`);
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(join(pki, 'apiserver.crt'), token)));

  const etcd = ['--etcd-dir', join(folder, 'etcd'), '--etcd-client', ETCD, '--etcd-peer', 'http://127.0.0.1:2380', '--etcd-log', join(logs, 'etcd.log')];
  const component = startComponent(logs, 'control-plane', join(kubernetes, PROGRAM), [
    ...['all', ...etcd, '--ready', URL],
    ...['--', ...apiServerFlags(pki)],
    ...['--', ...controllerFlags(pki, kubeconfig)],
    ...['--', `--kubeconfig=${kubeconfig}`, '--secure-port=0', '--leader-elect=false'],
  ]);
  return { component, kubeconfig };
}

/** It signs its own certificate, for its address and its Service's, in a file that holds the authority's too. */
const apiServerFlags = (pki: string) => [
  `--etcd-servers=${ETCD}`,
  `--bind-address=${NODE_ADDRESS}`,
  `--advertise-address=${NODE_ADDRESS}`,
  '--secure-port=6443',
  `--cert-dir=${pki}`,
  `--token-auth-file=${join(pki, 'tokens.csv')}`,
  '--service-account-issuer=https://kubernetes.default.svc',
  `--service-account-key-file=${join(pki, 'accounts.pub')}`,
  `--service-account-signing-key-file=${join(pki, 'accounts.key')}`,
  `--service-cluster-ip-range=${SERVICE_RANGE}`,
  '--authorization-mode=RBAC',
  '--kubelet-preferred-address-types=InternalIP',
  '--profiling=false',
];

const controllerFlags = (pki: string, kubeconfig: string) => [
  `--kubeconfig=${kubeconfig}`,
  '--secure-port=0',
  '--leader-elect=false',
  '--use-service-account-credentials',
  `--service-account-private-key-file=${join(pki, 'accounts.key')}`,
  `--root-ca-file=${join(pki, 'apiserver.crt')}`,
  '--kube-api-qps=200',
  '--kube-api-burst=400',
];

const kubeconfigOf = (authority: string, token: string) => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'lab', cluster: { server: URL, 'certificate-authority': authority } }],
  users: [{ name: 'lab', user: { token } }],
  contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }],
  'current-context': 'lab',
});
