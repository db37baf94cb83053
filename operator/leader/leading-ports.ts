import type { ReconcilePorts } from '../ports/reconcile-ports.ts';

/** This process lost the lead during a reconcile. */
class NotLeading extends Error {
  override readonly name = 'NotLeading';

  constructor() {
    super('this replica no longer leads: it writes nothing');
  }
}

/** The same ports, but writes throw once this process does not lead, also after it was suspended and replaced. */
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
    patchStatusOf: guarded(ports.patchStatusOf),
    applyConditions: guarded(ports.applyConditions),
    deleteObject: guarded(ports.deleteObject),
    updateStatus: guarded(ports.updateStatus),
    patchStatus: guarded(ports.patchStatus),
  };
}
