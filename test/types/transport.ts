// The contract of a transport (worker/transport/contract.ts), for those who implement one. Only the compiler reads
// this file.
import type {
  Arrival,
  ClientTransport,
  Delivery,
  RoundId,
  Sealed,
  ServerTransport,
  Submission,
  Task,
} from '../../worker/transport/contract.ts';
import type { MemoryTransport } from '../../worker/transport/memory.ts';
import type { AnyPaths, Equal, Expect, Nothing } from '../support/type-assertions.ts';

export type Checks = [
  Nothing<AnyPaths<ServerTransport>>,
  Nothing<AnyPaths<ClientTransport>>,
  Expect<Equal<keyof ServerTransport, 'publish' | 'dispatch' | 'receive' | 'unlink' | 'close'>>,
  Expect<Equal<keyof ClientTransport, 'take' | 'fetch' | 'submit' | 'close'>>,
  Expect<Equal<Parameters<ServerTransport['publish']>, [round: RoundId, roundPackage: Sealed]>>,
  Expect<Equal<Awaited<ReturnType<ServerTransport['receive']>>, Arrival | null>>,
  Expect<Equal<Awaited<ReturnType<ClientTransport['take']>>, Delivery | null>>,
  Expect<Equal<Awaited<ReturnType<ClientTransport['fetch']>>, Uint8Array>>,
  Expect<Equal<keyof Task, keyof RoundId | 'client' | 'sha256' | 'bytes'>>,
  Expect<Equal<Submission['header'], string>>,
  Expect<Equal<Awaited<ReturnType<Arrival['read']>>, Uint8Array>>,
  Expect<Equal<RoundId, Readonly<RoundId>>>,
  Expect<Equal<Sealed, Readonly<Sealed>>>,
  Expect<Equal<Task, Readonly<Task>>>,
  Expect<Equal<Delivery, Readonly<Delivery>>>,
  Expect<Equal<Submission, Readonly<Submission>>>,
  Expect<MemoryTransport extends ServerTransport ? true : false>,
];

declare const server: ServerTransport;
declare const client: ClientTransport;
declare const round: RoundId;
declare const sealed: Sealed;
declare const task: Task;
declare const delivery: Delivery;
declare const submission: Submission;
declare const arrival: Arrival;
declare const signal: AbortSignal;

// Both ends, implemented as briefly as possible.
({
  publish: async () => {},
  dispatch: async () => {},
  receive: async () => null,
  unlink: async () => {},
  close: async () => {},
}) satisfies ServerTransport;
({
  take: async () => null,
  fetch: async ({ bytes }) => new Uint8Array(bytes),
  submit: async () => {},
  close: async () => {},
}) satisfies ClientTransport;
({ header: '{}', bytes: 0, read: async () => new Uint8Array() }) satisfies Arrival;

// @ts-expect-error unlink is missing
(end: Omit<ServerTransport, 'unlink'>) => end satisfies ServerTransport;
// @ts-expect-error dispatch is missing
(end: Omit<ServerTransport, 'dispatch'>) => end satisfies ServerTransport;
// @ts-expect-error submit is missing
(end: Omit<ClientTransport, 'submit'>) => end satisfies ClientTransport;
// @ts-expect-error publish is asynchronous
({ ...server, publish: () => {} }) satisfies ServerTransport;
// @ts-expect-error publish receives a sealed package, not its bytes
({ ...server, publish: async (_: RoundId, bytes: Uint8Array) => void bytes }) satisfies ServerTransport;
// @ts-expect-error nothing arrived is null
({ ...server, receive: async () => undefined }) satisfies ServerTransport;
// @ts-expect-error the server receives arrivals, whose payload is not read yet
({ ...server, receive: async () => submission }) satisfies ServerTransport;
// @ts-expect-error no task is null
({ ...client, take: async () => undefined }) satisfies ClientTransport;
// @ts-expect-error a client takes a delivery, which can be withdrawn, not a task
({ ...client, take: async () => task }) satisfies ClientTransport;
// @ts-expect-error a package is bytes
({ ...client, fetch: async () => 'package' }) satisfies ClientTransport;
// @ts-expect-error a method of the server's end is unknown at a client's
({ ...client, dispatch: async () => {} }) satisfies ClientTransport;
// @ts-expect-error a payload is read asynchronously
({ header: '{}', bytes: 0, read: () => new Uint8Array() }) satisfies Arrival;

await server.publish(round, sealed);
await client.submit(delivery, submission);
// @ts-expect-error the digest is missing
await server.publish(round, { bytes: new Uint8Array() });
// @ts-expect-error the attempt is missing
await server.unlink({ job: 'job', round: 1 });
// @ts-expect-error a round alone is no task
await server.dispatch(round);
// @ts-expect-error a client is a number
await server.dispatch({ ...task, client: 'client-0' });
// @ts-expect-error receive waits until it is told to stop
await server.receive();
// @ts-expect-error a header is text, not an object
await client.submit(delivery, { ...submission, header: { samples: 1 } });
// @ts-expect-error a task is answered through its delivery
await client.submit(task, submission);
// @ts-expect-error the next task may be null
(await client.take(signal)).task satisfies Task;

// @ts-expect-error a round is read-only
round.attempt = 2;
// @ts-expect-error a task is read-only
task.client = 1;
// @ts-expect-error a sealed package is read-only
sealed.bytes = new Uint8Array();
// @ts-expect-error a submission is read-only
submission.header = '{}';
// @ts-expect-error an arrival is read-only
arrival.bytes = 0;
// @ts-expect-error a delivery is read-only
delivery.withdrawn = signal;
