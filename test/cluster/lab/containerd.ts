import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../support/until.ts';
import { run } from '../run.ts';
import { startComponent } from './component.ts';
import type { Component } from './component.ts';
import { BRIDGE, FIRST_POD_ADDRESS, POD_RANGE } from './network.ts';

/** The default socket; /run is private to the lab. */
export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';

export interface ContainerdOptions {
  /** Folder for its files and log. */
  readonly folder: string;
  readonly logs: string;
  /** Folder of the CNI plugins. */
  readonly cni: string;
  readonly pauseImage: string;
}

export async function startContainerd({ folder, logs, cni, pauseImage }: ContainerdOptions): Promise<Component> {
  const root = join(folder, 'containerd');
  const networks = join(folder, 'cni');
  await mkdir(networks, { recursive: true });
  await writeFile(join(networks, '10-lab.conflist'), JSON.stringify(network(folder)));
  const config = join(folder, 'containerd.toml');
  await writeFile(config, configuration({ root, cni, networks, pauseImage }));
  const containerd = startComponent(logs, 'containerd', 'containerd', ['--config', config]);
  await until('containerd answers', 30, async () => {
    containerd.check();
    return await ctr('version').catch(() => null);
  });
  return containerd;
}

/** containerd's client, in Kubernetes' namespace. */
export const ctr = (...args: readonly string[]): Promise<string> => run('ctr', ['--namespace', 'k8s.io', ...args]);

// restrict_oom_score_adj: without CAP_SYS_RESOURCE, runc may not lower the score, and fails with "can't get final
// child's PID from pipe: EOF".
const configuration = ({
  root,
  cni,
  networks,
  pauseImage,
}: Readonly<Record<'root' | 'cni' | 'networks' | 'pauseImage', string>>) => `
version = 2
root = ${JSON.stringify(root)}
[plugins."io.containerd.internal.v1.opt"]
  path = ${JSON.stringify(join(root, 'opt'))}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${JSON.stringify(pauseImage)}
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${JSON.stringify(cni)}
    conf_dir = ${JSON.stringify(networks)}
`;

const network = (folder: string) => ({
  cniVersion: '1.0.0',
  name: 'lab',
  plugins: [
    {
      type: 'bridge',
      bridge: BRIDGE,
      isGateway: true,
      // Lets a pod reach itself through its Service.
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        dataDir: join(folder, 'addresses'),
        ranges: [[{ subnet: POD_RANGE, rangeStart: FIRST_POD_ADDRESS }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
  ],
});
