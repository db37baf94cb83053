import type { LikelihoodTask } from './task.ts';

/** The share of labelled tokens the model would have chosen itself. */
export const tokenAccuracy: LikelihoodTask = {
  name: 'tokens',
  generates: false,
  accuracy: ({ labelled, correct }) => (labelled === 0 ? null : correct / labelled),
};

/** The loss alone. */
export const lossOnly: LikelihoodTask = { name: 'loss', generates: false, accuracy: () => null };
