/**
 * What the server and the clients of a federation need of whatever lies between them: memory in one process, Redis in a
 * cluster. test/contract/transport.ts says it as tests, which every implementation passes.
 *
 * Only bytes and small JSON texts travel, never an object. Delivery is at least once: a task whose client went away is
 * given to another, so a result can arrive twice, late, or from a stranger; the server judges each, the transport none.
 */

/** A round as the transport knows it: a round that is tried again is another attempt. Both count from 1. */
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

/** One client's part in a round. Small: the package it starts from is fetched apart. */
export interface Task extends RoundId {
  /** From 0. */
  readonly client: number;
  /** Digest (hex) and size of the round package. */
  readonly sha256: string;
  readonly bytes: number;
}

export interface Delivery {
  readonly task: Task;
  /** Aborts when the server no longer wants the result: the round went on without this client. */
  readonly withdrawn: AbortSignal;
}

/** A client's answer to a task. */
export interface Submission {
  /** JSON. */
  readonly header: string;
  readonly payload: Uint8Array;
  /** Digest of the payload (hex): its sender computes it once, and only the judge of the result computes it again. */
  readonly sha256: string;
}

/** A submission as it reached the server. Nothing about it has been checked, and its payload not hashed. */
export interface Arrival {
  readonly header: string;
  /** Size of the payload, known before it is read. */
  readonly bytes: number;
  /** @throws Refused when the payload is gone */
  read(): Promise<Uint8Array>;
}

export interface ServerTransport {
  /** Makes the round's package available to clients. Publishing it again changes nothing. */
  publish(round: RoundId, roundPackage: Sealed): Promise<void>;
  /** Queues a task. A task that is queued or being worked on is not queued twice. */
  dispatch(task: Task): Promise<void>;
  /**
   * The next arrival; null when none is there and `signal` has aborted, or after close. An arrival nobody took stays.
   */
  receive(signal: AbortSignal): Promise<Arrival | null>;
  /** Ends a round: its package and its queued tasks go, and its deliveries are withdrawn. */
  unlink(round: RoundId): Promise<void>;
  /**
   * Ends this end: `receive` gives null, other calls throw `TransportClosed`. What travels stays for a server that
   * comes back.
   */
  close(): Promise<void>;
}

export interface ClientTransport {
  /**
   * The next task, which is this client's until it submits or closes; null when `signal` has aborted, or after close.
   */
  take(signal: AbortSignal): Promise<Delivery | null>;
  /** The round package of a task. @throws Refused when it is gone, or its size or digest is not the task's */
  fetch(task: Task): Promise<Uint8Array>;
  /** Answers a task. Waits while the server has many answers it has not taken yet. */
  submit(delivery: Delivery, submission: Submission): Promise<void>;
  /** Gives tasks that were taken and not answered to other clients. */
  close(): Promise<void>;
}

export class TransportClosed extends Error {
  override readonly name = 'TransportClosed';

  constructor() {
    super('the transport is closed');
  }
}
