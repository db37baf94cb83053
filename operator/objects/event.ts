import type { JobObject } from './job-object.ts';

/** The object that an event is about. */
export type EventSubject = Pick<JobObject, 'metadata'>;

export interface EventRecord {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, as in conditions. */
  readonly reason: string;
  readonly message: string;
}
