import { mkdir, writeFile } from 'node:fs/promises';
import { run } from '../run.ts';

/** Of the node, on the bridge that carries the pods: the API server, the kubelet and the resolver listen here. */
export const NODE_ADDRESS = '10.244.0.1';

export const POD_RANGE = '10.244.0.0/24';
export const FIRST_POD_ADDRESS = '10.244.0.10';
export const BRIDGE = 'cni0';

/** Folders that the node's programs insist on; the machine's own stay as they are. */
const OWN_FOLDERS = ['/run', '/var/lib/kubelet', '/var/log'];

/**
 * Makes of the fresh namespaces this process is in a machine of its own: pods reach each other and it, and nothing
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
  // Services are translated addresses, also between two pods on the bridge.
  await writeFile('/proc/sys/net/bridge/bridge-nf-call-iptables', '1');
}
