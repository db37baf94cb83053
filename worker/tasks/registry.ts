import type { Task as TaskName } from '../../crds/types.ts';
import { gsm8k } from './gsm8k.ts';
import { questionAnswer } from './question-answer.ts';
import type { Task } from './task.ts';
import { lossOnly, tokenAccuracy } from './token-tasks.ts';

/** Every task, by its name in a manifest. */
export const tasks: Readonly<Record<TaskName, Task>> = {
  loss: lossOnly,
  tokens: tokenAccuracy,
  gsm8k,
  qa: questionAnswer,
};
