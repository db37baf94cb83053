/**
 * The transport between the server and the clients of a federation: memory in one process, Redis in a cluster. Every
 * implementation passes the tests in test/contract/transport.ts.
 *
 * Only bytes and small JSON texts are sent, never objects. Delivery is at least once: the task of a lost client goes to
 * another, so a result can arrive twice, late, or from a stranger. The server checks each result, not the transport.
 */

/** Identifies a round and its attempt: a retry of a round is another attempt. Both count from 1. */
export interface RoundId {
  readonly job: string;
  readonly round: number;
  readonly attempt: number;
}

/** Bytes and their SHA-256 (hex). */
export interface Sealed {
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

/** One client's part in a round. It is small: the round package is fetched separately. */
export interface Task extends RoundId {
  /** From 0. */
  readonly client: number;
  /** Digest (hex) and size of the round package. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface Delivery {
  readonly task: Task;
  /** Aborts when the server no longer wants the result, because the round went on without this client. */
  readonly withdrawn: AbortSignal;
}

/** A client's result for a task. */
export interface Submission {
  /** JSON. */
  readonly header: string;
  readonly payload: Uint8Array;
  /** Digest of the payload (hex). The sender computes it once; the server computes it again to check the result. */
  readonly sha256: string;
}

/** A submission as it reached the server. Nothing about it has been checked, and its payload has not been hashed. */
export interface Arrival {
  readonly header: string;
  /** Size of the payload, known before it is read. */
  readonly bytes: number;
  /** To be called before the next `receive`, if at all. @throws Refused if the payload is gone */
  read(): Promise<Uint8Array>;
}

export interface ServerTransport {
  /** Makes the round's package available to clients; idempotent. */
  publish(round: RoundId, roundPackage: Sealed): Promise<void>;
  /** Queues a task, unless it is already queued or being worked on. */
  dispatch(task: Task): Promise<void>;
  /**
   * The next arrival; null after close, or if there is none and `signal` has aborted. Arrivals are kept until taken.
   */
  receive(signal: AbortSignal): Promise<Arrival | null>;
  /** Ends a round: removes its package and its queued tasks, and withdraws its deliveries. */
  unlink(round: RoundId): Promise<void>;
  /**
   * Closes this end: `receive` returns null, other calls throw `TransportClosed`. Tasks and results are kept for a
   * server that comes back.
   */
  close(): Promise<void>;
}

export interface ClientTransport {
  /**
   * The next task, which this client holds until it submits or closes; null after close, or if `signal` has aborted.
   */
  take(signal: AbortSignal): Promise<Delivery | null>;
  /** The round package of a task. @throws Refused if it is gone, or its size or digest differs from the task's */
  fetch(task: Task): Promise<Uint8Array>;
  /** Submits the result of a task. Waits while many results are unread. */
  submit(delivery: Delivery, submission: Submission): Promise<void>;
  /** Closes this end; tasks that it holds go to other clients. */
  close(): Promise<void>;
}

export class TransportClosed extends Error {
  override readonly name = 'TransportClosed';

  constructor() {
    super('the transport is closed');
  }
}
