import { setTimeout as sleep } from 'node:timers/promises';
import { startLab } from '../../test/support/operator-lab.ts';
import type { OperatorLab } from '../../test/support/operator-lab.ts';
import type { Scope } from './scope.ts';

/** Namespace of the jobs. */
export const NAMESPACE = 'bench';

/** After this time without new work, the operator counts as idle. */
export const QUIET_MS = 15_000;

/** A control plane whose start-up work is done, and which logs its requests to `auditLog`. */
export async function startQuietLab(scope: Scope, auditLog: string): Promise<OperatorLab> {
  const lab = await startLab(scope, { auditLog });
  await lab.namespace(NAMESPACE);
  await sleep(QUIET_MS);
  return lab;
}
