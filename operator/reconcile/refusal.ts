import { isRecord } from '../../crds/schema/node.ts';

/** 422: the object is not valid, and trying again will not make it so. */
const UNPROCESSABLE = 422;

/** The API server's words when it refused an object as invalid; null for any other error, which may pass. */
export function refusalOf(error: unknown): string | null {
  if (!(error instanceof Error) || Reflect.get(error, 'code') !== UNPROCESSABLE) return null;
  return wordsOf(Reflect.get(error, 'body')) ?? error.message;
}

/** The message of a Kubernetes Status, which clients hand on as text or as an object. */
function wordsOf(body: unknown): string | null {
  let status = body;
  if (typeof body === 'string') {
    try {
      status = JSON.parse(body);
    } catch {
      return null;
    }
  }
  return isRecord(status) && typeof status['message'] === 'string' ? status['message'] : null;
}
