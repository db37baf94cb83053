import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import Type from 'typebox';
import { Compile } from 'typebox/compile';

const AuditEvent = Compile(
  Type.Object({
    auditID: Type.String(),
    verb: Type.String(),
    user: Type.Object({ username: Type.String() }),
    objectRef: Type.Optional(
      Type.Object({
        resource: Type.String(),
        subresource: Type.Optional(Type.String()),
        namespace: Type.Optional(Type.String()),
      }),
    ),
    requestReceivedTimestamp: Type.String(),
    stageTimestamp: Type.String(),
  }),
);

/** A request that the API server has answered or is answering. */
export interface AuditedRequest {
  readonly verb: string;
  /** With its subresource, if there is one, as in `pods/status`. */
  readonly resource: string;
  readonly namespace: string | null;
  /** Milliseconds since 1970. */
  readonly received: number;
  readonly answered: number;
}

/** Requests of one user, in the order of the log. A watch counts once, when it begins. */
export async function requestsOf(username: string, auditLog: string): Promise<AuditedRequest[]> {
  const requests = new Map<string, AuditedRequest>();
  for await (const line of createInterface({ input: createReadStream(auditLog) })) {
    const event: unknown = JSON.parse(line);
    if (!AuditEvent.Check(event) || event.user.username !== username || requests.has(event.auditID)) continue;
    const { auditID, verb, objectRef, requestReceivedTimestamp, stageTimestamp } = event;
    requests.set(auditID, {
      verb,
      resource: objectRef === undefined ? 'none' : [objectRef.resource, objectRef.subresource ?? []].flat().join('/'),
      namespace: objectRef?.namespace ?? null,
      received: Date.parse(requestReceivedTimestamp),
      answered: Date.parse(stageTimestamp),
    });
  }
  return [...requests.values()];
}
