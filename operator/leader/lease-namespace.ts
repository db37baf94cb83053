import { readFileSync } from 'node:fs';
import { UserError } from '../../crds/facts/user-error.ts';

/** The file with the namespace of a pod. */
const OWN_NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** The namespace of the lease: as configured, else the operator's own. @throws UserError outside a pod */
export function leaseNamespace(configured: string | null, file = OWN_NAMESPACE_FILE): string {
  if (configured !== null) return configured;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new UserError('there is no namespace for the lease: this is not a pod with a ServiceAccount', {
      hint: 'Set --lease-namespace, or run a single replica with --no-leader-elect.',
      cause: error,
    });
  }
}
