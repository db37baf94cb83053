import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../../support/until.ts';
import { run } from '../run.ts';
import type { Component } from './component.ts';
import { ctr, startContainerd } from './containerd.ts';
import { startControlPlane } from './control-plane.ts';
import { NODE, startKubelet } from './kubelet.ts';
import { prepareMachine } from './network.ts';
import { startDns, startGpus, startProxy } from './services.ts';

/** The parts of a lab. */
export interface LabParts {
  /** Folder for its files; removed with it. */
  readonly folder: string;
  /** Folders with programs. */
  readonly kubernetes: string;
  readonly coredns: string;
  readonly helm: string;
  readonly cni: string;
  /** Control group of its processes. */
  readonly cgroup: string;
  /** Archives of images. */
  readonly archives: readonly string[];
  /** The image of each pod's first process. */
  readonly pauseImage: string;
}

export interface Lab {
  readonly folder: string;
  readonly kubeconfig: string;
  readonly components: readonly Component[];
  /** Runs kubectl as an administrator, with `input` on stdin, and returns its output. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Runs Helm as an administrator, with `input` on stdin, and returns its output. */
  helm(args: readonly string[], input?: string): Promise<string>;
}

/**
 * A Kubernetes with one node that runs real containers and has fake GPUs. Call it in new namespaces (requirements.ts).
 * It ends with their first process, and nothing of it is visible outside.
 */
export async function startLab(parts: LabParts, gpus: number): Promise<Lab> {
  const { folder, kubernetes } = parts;
  const logs = join(folder, 'logs');
  await mkdir(logs, { recursive: true });
  await prepareMachine();

  const { component: controlPlane, kubeconfig } = await startControlPlane(folder, logs, kubernetes);
  const kubectl = (args: readonly string[], input?: string) =>
    run(join(kubernetes, 'kubectl'), [`--kubeconfig=${kubeconfig}`, ...args], input === undefined ? {} : { input });
  const helm = (args: readonly string[], input?: string) =>
    run(join(parts.helm, 'helm'), args, {
      env: {
        ...process.env,
        KUBECONFIG: kubeconfig,
        HELM_CACHE_HOME: join(folder, 'helm'),
        HELM_CONFIG_HOME: join(folder, 'helm'),
        HELM_DATA_HOME: join(folder, 'helm'),
      },
      ...(input === undefined ? {} : { input }),
    });
  const containerd = await startContainerd({ ...parts, logs });
  for (const archive of parts.archives) await ctr('images', 'import', archive);
  const components = [controlPlane, containerd];
  /** The next thing that is there once all of the lab runs. */
  const awaited = async (what: string, args: readonly string[], holds: (answer: string) => boolean = () => true) => {
    try {
      await until(what, 180, async () => {
        for (const component of components) component.check();
        const answer = await kubectl(args).catch(() => null);
        return answer !== null && holds(answer) ? answer : null;
      });
    } catch (cause) {
      throw new Error(components.map(({ name, logTail }) => `${name}:\n${logTail()}`).join('\n\n'), { cause });
    }
  };

  await awaited('the API server answers', ['get', '--raw', '/readyz']);
  components.push(
    await startKubelet({ ...parts, logs, kubeconfig }),
    startProxy(logs, kubernetes, kubeconfig),
    await startDns(folder, logs, parts.coredns, kubeconfig),
  );
  const node = (field: string) => ['get', 'node', NODE, `--output=jsonpath={${field}}`];
  await awaited(
    'the node is ready',
    node('.status.conditions[?(@.type=="Ready")].status'),
    (answer) => answer === 'True',
  );
  // Starts after the kubelet, which empties the folder of plugins when it starts.
  components.push(startGpus(logs, kubernetes, gpus));
  await awaited('the node has GPUs', node('.status.allocatable.nvidia\\.com/gpu'), (answer) => answer === String(gpus));
  await awaited('the controllers run', ['get', 'serviceaccount', 'default']);
  return { folder, kubeconfig, components, kubectl, helm };
}
