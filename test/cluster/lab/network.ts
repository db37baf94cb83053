import { mkdir, writeFile } from 'node:fs/promises';
import { run } from '../run.ts';

/**
 * Address of the node on the bridge to which pods are connected. The API server, the kubelet and the resolver listen on
 * it.
 */
export const NODE_ADDRESS = '10.244.0.1';

export const POD_RANGE = '10.244.0.0/24';
export const FIRST_POD_ADDRESS = '10.244.0.10';
export const BRIDGE = 'cni0';

/** Folders that the node's programs require. Those of the machine are not touched. */
const OWN_FOLDERS = ['/run', '/var/lib/kubelet', '/var/log'];

/**
 * Configures the new namespaces of this process as a separate machine: pods reach each other and the node, and nothing
 * else.
 */
export async function prepareMachine(): Promise<void> {
  for (const folder of OWN_FOLDERS) {
    await mkdir(folder, { recursive: true });
    await run('mount', ['-t', 'tmpfs', 'none', folder]);
  }
  await mkdir('/run/netns');
  await run('ip', ['link', 'set', 'lo', 'up']);
  await run('ip', ['link', 'add', BRIDGE, 'type', 'bridge']);
  await run('ip', ['addr', 'add', `${NODE_ADDRESS}/24`, 'dev', BRIDGE]);
  await run('ip', ['link', 'set', BRIDGE, 'up']);
  await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
  // Services are translated addresses, even between two pods on the bridge.
  await writeFile('/proc/sys/net/bridge/bridge-nf-call-iptables', '1');
}
