import { randomUUID } from 'node:crypto';
import { TENSOR } from '../../cluster/redis-keys.ts';
import type { JobKeys } from '../../cluster/redis-keys.ts';
import type { RoundId, Task } from '../contract.ts';

/** Default maximum size of a submission's header. */
export const MAX_HEADER_BYTES = 4 * 1024 * 1024;

/** Maximum size of the data of a task's queue entry, in bytes. */
export const MAX_TASK_BYTES = 16 * 1024;

/** Names without a colon, which BullMQ reserves. */
const nameOf = ({ round, attempt }: RoundId) => `${round}-${attempt}`;

export const packageName = (round: RoundId) => `${TENSOR.package}${nameOf(round)}`;
export const freshResultName = () => `${TENSOR.result}${randomUUID()}`;
export const taskId = (task: Task) => `${nameOf(task)}-${task.client}`;

/** Exists once a round has ended and its deliveries are withdrawn. */
export const endedKey = ({ ended }: JobKeys, round: RoundId) => `${ended}:${nameOf(round)}`;
