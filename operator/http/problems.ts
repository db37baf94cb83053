import Type from 'typebox';

/** All problems of the read API (RFC 9457), distinguished by `type`. */
export const PROBLEMS = {
  unauthenticated: {
    status: 401,
    title: 'Unauthenticated',
    detail: 'Send a bearer token that the API server accepts.',
  },
  forbidden: {
    status: 403,
    title: 'Forbidden',
    detail: 'The token may not read these jobs: it needs get or list on fedbiotjobs.fedbiot.io in the namespace.',
  },
  'forbidden-metrics': {
    status: 403,
    title: 'Forbidden',
    detail: 'The token may not read metrics: its user needs get on the nonresource URL /metrics.',
  },
  busy: {
    status: 429,
    title: 'Too many requests',
    detail: 'The operator has reached its limit of token reviews per second; try again.',
  },
  'not-found': { status: 404, title: 'Not found', detail: 'There is no such resource.' },
  'no-job': {
    status: 404,
    title: 'No such job',
    detail: 'There is no FedBiOTJob of that name in the namespace, or the operator does not watch the namespace.',
  },
  'no-report': {
    status: 404,
    title: 'No report yet',
    detail: 'A report exists after the first finished round, and is deleted a week after the last.',
  },
  invalid: { status: 400, title: 'Invalid request', detail: 'The request does not match the API description.' },
  unavailable: {
    status: 503,
    title: 'Unavailable',
    detail: 'Redis or the API server does not answer, or its data is not usable; try again.',
  },
  internal: { status: 500, title: 'Internal error', detail: 'A defect of the operator; its log has the error.' },
} as const satisfies Record<string, { status: number; title: string; detail: string }>;

export type ProblemKind = keyof typeof PROBLEMS;

export const PROBLEM_TYPE = 'application/problem+json';

export const ProblemBody = Type.Object(
  { type: Type.String(), title: Type.String(), status: Type.Integer(), detail: Type.String() },
  { description: 'Why the request was refused (RFC 9457).' },
);

export const problemBody = (kind: ProblemKind) => ({ type: `urn:fedbiot:problem:${kind}`, ...PROBLEMS[kind] });

/** Ends a request with a problem. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly kind: ProblemKind;

  constructor(kind: ProblemKind, cause?: unknown) {
    super(PROBLEMS[kind].title, cause === undefined ? {} : { cause });
    this.kind = kind;
  }
}
