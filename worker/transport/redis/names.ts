import { randomUUID } from 'node:crypto';
import { TENSOR } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import type { RoundId, Task } from '../contract.ts';

/** Most bytes of a submission's header, which travels in its queue entry, where nothing else is said. */
export const MAX_HEADER_BYTES = 4 * 1024 * 1024;

/**
 * Most bytes of the data of a result's queue entry: all of the header may have to be escaped, and its payload's name
 * and digest are beside it.
 */
export const maxResultBytes = (maxHeaderBytes: number) => 2 * maxHeaderBytes + 1024;

/** Most bytes of the data of a task's queue entry. */
export const MAX_TASK_BYTES = 16 * 1024;

/** Names without a colon, which BullMQ reserves. */
const nameOf = ({ round, attempt }: RoundId) => `${round}-${attempt}`;

export const packageName = (round: RoundId) => `${TENSOR.package}${nameOf(round)}`;
export const freshResultName = () => `${TENSOR.result}${randomUUID()}`;
export const taskId = (task: Task) => `${nameOf(task)}-${task.client}`;

/** Exists once a round has ended and its deliveries are withdrawn. */
export const endedKey = ({ ended }: JobKeys, round: RoundId) => `${ended}:${nameOf(round)}`;
