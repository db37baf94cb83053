import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The options of etcd, the API server and the controllers, wherever they run. */

export const SERVICE_RANGE = '10.96.0.0/16';

/** Writes keys for ServiceAccounts, and an administrator's `token`, into the folder `pki`. */
export function writeCredentials(pki: string, token: string): void {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'prime256v1',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'sec1', format: 'pem' },
  });
  mkdirSync(pki, { recursive: true });
  writeFileSync(join(pki, 'accounts.pub'), publicKey);
  writeFileSync(join(pki, 'accounts.key'), privateKey);
  writeFileSync(join(pki, 'tokens.csv'), `${token},admin,admin,system:masters\n`);
}

export interface ApiServer {
  readonly pki: string;
  readonly address: string;
  readonly port: number;
  /** etcd's URL. */
  readonly etcd: string;
}

/**
 * It signs its own certificate, for its address and its Service's, and writes it to a file that also contains its CA
 * certificate.
 */
export const apiServerFlags = ({ pki, address, port, etcd }: ApiServer): readonly string[] => [
  `--etcd-servers=${etcd}`,
  `--bind-address=${address}`,
  `--advertise-address=${address}`,
  `--secure-port=${port}`,
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

export const controllerFlags = (pki: string, kubeconfig: string): readonly string[] => [
  `--kubeconfig=${kubeconfig}`,
  '--secure-port=0',
  '--leader-elect=false',
  '--use-service-account-credentials',
  `--service-account-private-key-file=${join(pki, 'accounts.key')}`,
  `--root-ca-file=${join(pki, 'apiserver.crt')}`,
  '--kube-api-qps=200',
  '--kube-api-burst=400',
];

export const schedulerFlags = (kubeconfig: string): readonly string[] => [
  `--kubeconfig=${kubeconfig}`,
  '--secure-port=0',
  '--leader-elect=false',
];

/** For the holder of `token`; `server` is the API server's URL, or another that leads to it. */
export const kubeconfigOf = (server: string, pki: string, token: string) => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'lab', cluster: { server, 'certificate-authority': join(pki, 'apiserver.crt') } }],
  users: [{ name: 'lab', user: { token } }],
  contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab' } }],
  'current-context': 'lab',
});
