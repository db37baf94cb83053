import type { ReconcilePorts } from '../ports/reconcile-ports.ts';

/** This process has lost the lead while it was at work. */
class NotLeading extends Error {
  override readonly name = 'NotLeading';

  constructor() {
    super('this replica does not lead any more: nothing is written');
  }
}

/**
 * The same ports, but nothing is written any more once this process does not lead: also where it woke up after another
 * took over.
 */
export function leadingPorts(ports: ReconcilePorts, leads: () => boolean): ReconcilePorts {
  const guarded =
    <Arguments extends readonly unknown[], Result>(write: (...args: Arguments) => Promise<Result>) =>
    async (...args: Arguments): Promise<Result> => {
      if (!leads()) throw new NotLeading();
      return write(...args);
    };
  return {
    ...ports,
    grantRedis: guarded(ports.grantRedis),
    create: guarded(ports.create),
    apply: guarded(ports.apply),
    patchSpec: guarded(ports.patchSpec),
    deleteObject: guarded(ports.deleteObject),
    updateStatus: guarded(ports.updateStatus),
    patchStatus: guarded(ports.patchStatus),
  };
}
