import type { TaskName } from '../../crds/facts/tasks.ts';
import { gsm8k } from './gsm8k.ts';
import { questionAnswer } from './question-answer.ts';
import type { LikelihoodTask, Task } from './task.ts';

/** The loss alone. */
const lossOnly: LikelihoodTask = { name: 'loss', generates: false, accuracy: () => null };

/** The share of labelled tokens to which the model gives the highest probability. */
const tokenAccuracy: LikelihoodTask = {
  name: 'tokens',
  generates: false,
  accuracy: ({ labelled, correct }) => (labelled === 0 ? null : correct / labelled),
};

/** Every task, by its name in a manifest. */
export const tasks: Readonly<Record<TaskName, Task>> = {
  loss: lossOnly,
  tokens: tokenAccuracy,
  gsm8k,
  qa: questionAnswer,
};
