/**
 * Annotations that a job's pods may carry: keys, and prefixes that end in `/`. Their effect is known. Any other may
 * instruct a container runtime, a network plugin or a webhook to turn off AppArmor or seccomp, or to add a device, a
 * volume, a network or a container.
 */
const HARMLESS: readonly string[] = [
  'prometheus.io/',
  'kubectl.kubernetes.io/default-container',
  'kubectl.kubernetes.io/default-logs-container',
  'kubernetes.io/description',
  'kubernetes.io/ingress-bandwidth',
  'kubernetes.io/egress-bandwidth',
  'cluster-autoscaler.kubernetes.io/',
  'karpenter.sh/do-not-disrupt',
  'kueue.x-k8s.io/',
  'scheduling.k8s.io/group-name',
  'scheduling.volcano.sh/',
  'sidecar.istio.io/inject',
  'traffic.sidecar.istio.io/',
  'linkerd.io/inject',
  'config.linkerd.io/skip-inbound-ports',
  'config.linkerd.io/skip-outbound-ports',
  'config.linkerd.io/opaque-ports',
  'fluentbit.io/',
  'co.elastic.logs/',
];

/** Keys without a domain and without a dot are private to their author; those of container runtimes have a dot. */
export const mayAnnotate = (key: string, allowed: readonly string[]): boolean =>
  !/[./]/.test(key) ||
  annotations(allowed).some((known) => (known.endsWith('/') ? key.startsWith(known) : key === known));

/** The harmless annotations, and those that the operator's options allow. */
export const annotations = (allowed: readonly string[]): readonly string[] => [...HARMLESS, ...allowed];
