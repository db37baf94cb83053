import type { TaskName } from '../../crds/facts/tasks.ts';
import { gsm8k } from './gsm8k.ts';
import { questionAnswer } from './question-answer.ts';
import type { LikelihoodTask, Task } from './task.ts';

/** Only the loss. */
const lossOnly: LikelihoodTask = { name: 'loss', generates: false, accuracy: () => null };

/** The fraction of labelled tokens to which the model assigns the highest probability. */
const tokenAccuracy: LikelihoodTask = {
  name: 'tokens',
  generates: false,
  accuracy: ({ labelled, correct }) => (labelled === 0 ? null : correct / labelled),
};

/** All tasks, by their names in a manifest. */
export const tasks: Readonly<Record<TaskName, Task>> = {
  loss: lossOnly,
  tokens: tokenAccuracy,
  gsm8k,
  qa: questionAnswer,
};
