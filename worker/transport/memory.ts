import { TransportClosed } from './contract.ts';
import type {
  Arrival,
  ClientTransport,
  Delivery,
  RoundId,
  Sealed,
  ServerTransport,
  Submission,
  Task,
} from './contract.ts';
import { checkSeal } from './package.ts';
import { Mailbox } from './mailbox.ts';
import { Refused } from '../../crds/facts/refusal.ts';

/** Results that may wait for the server: each contains an adapter, and one process has few clients. */
const UNREAD_ARRIVALS = 16;

const roundKey = ({ job, round, attempt }: RoundId) => JSON.stringify([job, round, attempt]);
const taskKey = (task: Task) => JSON.stringify([task.job, task.round, task.attempt, task.client]);

interface Taken {
  readonly task: Task;
  readonly owner: ClientTransport;
  readonly withdraw: AbortController;
}

/**
 * The transport of a federation in one process: the server end, to which clients connect. Bytes are copied, as over a
 * network. Nothing outlives it: `close` also closes the clients' ends and withdraws their deliveries.
 */
export class MemoryTransport implements ServerTransport {
  readonly #packages = new Map<string, Sealed>();
  readonly #tasks = new Mailbox<Task>();
  readonly #arrivals = new Mailbox<Arrival>(UNREAD_ARRIVALS);
  readonly #taken = new Map<string, Taken>();
  #closed = false;

  async publish(round: RoundId, { bytes, sha256 }: Sealed): Promise<void> {
    this.#mustBeOpen();
    if (this.#packages.get(roundKey(round))?.sha256 === sha256) return;
    this.#packages.set(roundKey(round), { bytes: new Uint8Array(bytes), sha256 });
  }

  async dispatch(task: Task): Promise<void> {
    this.#mustBeOpen();
    const key = taskKey(task);
    if (this.#taken.has(key) || this.#tasks.some((queued) => taskKey(queued) === key)) return;
    await this.#tasks.put({ ...task });
  }

  async receive(signal: AbortSignal): Promise<Arrival | null> {
    const claim = (arrival: Arrival) => arrival;
    return (await this.#arrivals.take(signal, claim)) ?? this.#arrivals.poll(claim);
  }

  async unlink(round: RoundId): Promise<void> {
    const key = roundKey(round);
    this.#packages.delete(key);
    this.#tasks.remove((task) => roundKey(task) === key);
    for (const [name, { task, withdraw }] of this.#taken) {
      if (roundKey(task) !== key) continue;
      this.#taken.delete(name);
      withdraw.abort();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#tasks.close();
    this.#arrivals.close();
    this.#packages.clear();
    for (const { withdraw } of this.#taken.values()) withdraw.abort();
    this.#taken.clear();
  }

  /** Connects another client. */
  connect(): ClientTransport {
    const leaving = new AbortController();
    const client: ClientTransport = {
      take: (signal) =>
        this.#tasks.take(AbortSignal.any([signal, leaving.signal]), (task) => {
          const withdraw = new AbortController();
          this.#taken.set(taskKey(task), { task, owner: client, withdraw });
          return { task, withdrawn: withdraw.signal };
        }),
      fetch: async (task) => {
        this.#mustBeOpen();
        const stored = this.#packages.get(roundKey(task));
        if (stored === undefined)
          throw new Refused('late', `the package of round ${task.round} is gone: the round has ended`);
        checkSeal(stored.bytes, task, 'round package');
        return new Uint8Array(stored.bytes);
      },
      submit: (delivery, submission) => this.#submit(delivery, submission),
      close: async () => {
        leaving.abort();
        const left = [...this.#taken].filter(([, { owner }]) => owner === client);
        for (const [key] of left) this.#taken.delete(key);
        if (!this.#closed) this.#tasks.putBack(left.map(([, { task }]) => task));
      },
    };
    return client;
  }

  async #submit({ task, withdrawn }: Delivery, { header, payload }: Submission): Promise<void> {
    const bytes = new Uint8Array(payload);
    await this.#arrivals.put({ header, bytes: bytes.byteLength, read: async () => bytes });
    const key = taskKey(task);
    if (this.#taken.get(key)?.withdraw.signal === withdrawn) this.#taken.delete(key);
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new TransportClosed();
  }
}
