/** The tasks of an evaluation, each with what it measures in addition to the loss. */
export const TASKS = {
  loss: 'nothing',
  gsm8k: 'whether the final number of a generated answer is right',
  qa: 'exact match and F1 of a generated answer against the accepted answers',
  tokens: 'next-token accuracy on the response',
} as const;

export type TaskName = keyof typeof TASKS;

const isTask = (name: string): name is TaskName => name in TASKS;

export const TASK_NAMES: readonly TaskName[] = Object.keys(TASKS).filter(isTask);
