/**
 * Annotations that a job may set on its pods, because their effect is known: keys, and prefixes that end in `/`. Any
 * other annotation could make a container runtime, a network plugin or a webhook turn off AppArmor or seccomp, or add a
 * device, a volume, a network or a container.
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

/** A key without a slash and a dot is private to its author: keys of container runtimes have a dot. */
export const mayAnnotate = (key: string, allowed: readonly string[]): boolean =>
  !/[./]/.test(key) ||
  annotations(allowed).some((known) => (known.endsWith('/') ? key.startsWith(known) : key === known));

/** The harmless annotations and those that the operator's options allow. */
export const annotations = (allowed: readonly string[]): readonly string[] => [...HARMLESS, ...allowed];
