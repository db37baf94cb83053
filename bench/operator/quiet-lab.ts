import { setTimeout as sleep } from 'node:timers/promises';
import { startLab } from '../../test/support/operator-lab.ts';
import type { OperatorLab } from '../../test/support/operator-lab.ts';
import type { Scope } from './scope.ts';

/** Where the jobs are. */
export const NAMESPACE = 'bench';

/** After so long without anything to do, nothing is left to do. */
export const QUIET_MS = 15_000;

/** A control plane that has its own start behind it, and tells of its requests in `auditLog`. */
export async function startQuietLab(scope: Scope, auditLog: string): Promise<OperatorLab> {
  const lab = await startLab(scope, { auditLog });
  await lab.namespace(NAMESPACE);
  await sleep(QUIET_MS);
  return lab;
}
