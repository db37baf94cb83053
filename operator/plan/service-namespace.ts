/**
 * The namespace in the name of a Service, SERVICE.NAMESPACE.svc with or without the cluster's domain; null for any
 * other host.
 */
export function namespaceOf(host: string): string | null {
  return /^[^.]+\.([^.]+)\.svc(\.|$)/.exec(host)?.[1] ?? null;
}
