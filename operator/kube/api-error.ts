import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';

const Status = Type.Object({
  message: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
  code: Type.Optional(Type.Number()),
  details: Type.Optional(
    Type.Object({
      retryAfterSeconds: Type.Optional(Type.Number()),
      causes: Type.Optional(
        Type.Array(Type.Object({ field: Type.Optional(Type.String()), message: Type.Optional(Type.String()) })),
      ),
    }),
  ),
});

/** The fields of a Status that are used here. */
export type ApiStatus = Static<typeof Status>;

export const CODE = { forbidden: 403, notFound: 404, conflict: 409, gone: 410, invalid: 422 } as const;

/** Characters shown of an answer that is not a Status, such as a proxy's page. */
const SHOWN = 300;

/** An error answer of the API server. `code` and `body` are named as in client-node's ApiException. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: number;
  /** The Status, or the text received instead. */
  readonly body: unknown;

  constructor(what: string, code: number, body: unknown) {
    super(`${what}: ${code} ${wordsOf(body)}`);
    this.code = code;
    this.body = body;
  }

  get status(): ApiStatus {
    return readStatus(this.body);
  }
}

/** The Status; empty if the value is none. */
export const readStatus = (value: unknown): ApiStatus => (Value.Check(Status, value) ? value : {});

export const isApiError = (error: unknown, ...codes: readonly number[]): error is ApiError =>
  error instanceof ApiError && codes.includes(error.code);

function wordsOf(body: unknown): string {
  const { message, reason } = readStatus(body);
  return message ?? reason ?? (typeof body === 'string' ? body.slice(0, SHOWN) : '');
}
