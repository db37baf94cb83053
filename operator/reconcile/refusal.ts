import { isRecord } from '../../crds/json-schema/node.ts';

/** A request that the API server, or a webhook that it calls, does not allow. */
export interface Refusal {
  /** The object is not valid, and a retry does not help. Else it may: quotas, policies and permissions change. */
  readonly isInvalid: boolean;
  /** The message of the refusing party. */
  readonly message: string;
}

const CODE = {
  malformed: 400,
  unauthorized: 401,
  notFound: 404,
  timeout: 408,
  conflict: 409,
  unprocessable: 422,
  tooMany: 429,
  internal: 500,
} as const;

/** Codes that do not judge the object: they depend on the moment, on stale caches, or on the caller. */
const PASSING: readonly number[] = [CODE.unauthorized, CODE.notFound, CODE.timeout, CODE.conflict, CODE.tooMany];

/** The refusal in an error; null for any other error. A webhook that does not answer is reported as 500. */
export function refusalOf(error: unknown): Refusal | null {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : null;
  if (
    !(error instanceof Error) ||
    typeof code !== 'number' ||
    code < 400 ||
    code > CODE.internal ||
    PASSING.includes(code)
  )
    return null;
  const status = statusOf(Reflect.get(error, 'body'));
  if (code === CODE.internal && status === null) return null;
  const message = status?.['message'];
  return {
    isInvalid: code === CODE.malformed || (code === CODE.unprocessable && namesField(status)),
    message: typeof message === 'string' && message !== '' ? message : error.message,
  };
}

/** A Kubernetes Status, which clients return as text or as an object. */
function statusOf(body: unknown): Readonly<Record<string, unknown>> | null {
  let status = body;
  if (typeof body === 'string') {
    try {
      status = JSON.parse(body);
    } catch {
      return null;
    }
  }
  return isRecord(status) ? status : null;
}

/** Validation names the invalid field; an admission policy, which answers 422 as well, does not. */
function namesField(status: Readonly<Record<string, unknown>> | null): boolean {
  const details = status?.['details'];
  const causes = isRecord(details) ? details['causes'] : undefined;
  return (
    Array.isArray(causes) &&
    causes.some((cause) => isRecord(cause) && typeof cause['field'] === 'string' && cause['field'] !== '')
  );
}
