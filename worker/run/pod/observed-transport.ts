import type { Logger } from 'pino';
import type { ClientMetrics } from '../../metrics/client-metrics.ts';
import type { ClientTransport, Delivery } from '../../transport/contract.ts';

/** Wraps a client's transport to log and count tasks and transfers. */
export function observedTransport(
  transport: ClientTransport,
  { metrics, log }: { readonly metrics: ClientMetrics; readonly log: Logger },
): ClientTransport {
  const answered = new WeakSet<Delivery>();
  const of = ({ task: { round, attempt, client } }: Delivery) => ({ round, attempt, client });
  return {
    take: async (signal) => {
      const delivery = await transport.take(signal);
      if (delivery === null) return null;
      log.info(of(delivery), 'training for a client');
      const withdrawn = () => {
        if (answered.has(delivery)) return;
        metrics.task('withdrawn');
        log.info(of(delivery), 'the task is no longer wanted');
      };
      delivery.withdrawn.addEventListener('abort', withdrawn, { once: true });
      return delivery;
    },
    fetch: async (task) => {
      const bytes = await transport.fetch(task);
      metrics.transferred('down', bytes.byteLength);
      return bytes;
    },
    submit: async (delivery, submission) => {
      await transport.submit(delivery, submission);
      answered.add(delivery);
      const { byteLength } = submission.payload;
      metrics.transferred('up', byteLength);
      // A failure report has no payload.
      metrics.task(byteLength > 0 ? 'answered' : 'failed');
      log.info(
        { ...of(delivery), bytes: byteLength },
        byteLength > 0 ? 'the result was sent' : 'the client could not train: the reason is sent to the server',
      );
    },
    close: () => transport.close(),
  };
}
