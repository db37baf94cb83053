// The contract of a task (worker/tasks/task.ts), for those who add one. Only the compiler reads this file.
import type { TaskName } from '../../crds/facts/tasks.ts';
import type { tasks } from '../../worker/tasks/registry.ts';
import type { GenerationTask, LikelihoodTask, PredictionScore, Task, TokenCounts } from '../../worker/tasks/task.ts';
import type { TextExample, TokenizedExample } from '../../worker/data/example.ts';
import type { AnyPaths, Equal, Expect, Nothing } from '../support/type-assertions.ts';

export type Checks = [
  Nothing<AnyPaths<Task>>,
  Expect<Equal<Task['generates'], boolean>>,
  Expect<Equal<Extract<Task, { generates: true }>, GenerationTask>>,
  Expect<Equal<Extract<Task, { generates: false }>, LikelihoodTask>>,
  Expect<Equal<Parameters<GenerationTask['score']>, [prediction: string, example: TextExample]>>,
  Expect<Equal<PredictionScore, Readonly<PredictionScore>>>,
  Expect<Equal<TokenCounts, Readonly<TokenCounts>>>,
  Expect<Equal<keyof typeof tasks, TaskName>>,
  Expect<Equal<typeof tasks, Readonly<Record<TaskName, Task>>>>,
];

declare const generation: GenerationTask;
declare const likelihood: LikelihoodTask;
declare const task: Task;
declare const score: PredictionScore;
declare const counts: TokenCounts;
declare const registry: typeof tasks;
declare const text: TextExample;
declare const tokenized: TokenizedExample;

// A task of each kind, with and without optional fields.
({ name: 'length', generates: true, check: () => {}, score: () => ({ accuracy: 1 }) }) satisfies Task;
({ name: 'length', generates: true, check: () => {}, score: () => ({ accuracy: 0, f1: 0.5 }) }) satisfies Task;
({ name: 'half', generates: false, accuracy: ({ correct, labelled }) => correct / labelled }) satisfies Task;
({ name: 'none', generates: false, accuracy: () => null }) satisfies Task;

// @ts-expect-error the name is missing
({ generates: false, accuracy: () => null }) satisfies Task;
// @ts-expect-error check is missing
({ name: 'length', generates: true, score: () => ({ accuracy: 1 }) }) satisfies Task;
// @ts-expect-error score is missing
({ name: 'length', generates: true, check: () => {} }) satisfies Task;
// @ts-expect-error the accuracy of a likelihood task is missing
({ name: 'none', generates: false }) satisfies Task;
// @ts-expect-error a task says which kind it is
({ name: 'none', accuracy: () => null }) satisfies Task;
// @ts-expect-error a likelihood task does not score predictions
({ name: 'none', generates: false, accuracy: () => null, score: () => ({ accuracy: 1 }) }) satisfies Task;
// @ts-expect-error a generation task gives no accuracy of tokens
({ name: 'length', generates: true, check: () => {}, accuracy: () => null }) satisfies Task;
// @ts-expect-error a score is an object, not a number
({ name: 'length', generates: true, check: () => {}, score: () => 1 }) satisfies Task;
// @ts-expect-error a score has an accuracy
({ name: 'length', generates: true, check: () => {}, score: () => ({ f1: 1 }) }) satisfies Task;
// @ts-expect-error the accuracy of a score is a number
({ name: 'length', generates: true, check: () => {}, score: () => ({ accuracy: true }) }) satisfies Task;
// @ts-expect-error an F1 that is not there is left out
({ name: 'length', generates: true, check: () => {}, score: () => ({ accuracy: 1, f1: undefined }) }) satisfies Task;
// @ts-expect-error a score is synchronous
({ name: 'length', generates: true, check: () => {}, score: async () => ({ accuracy: 1 }) }) satisfies Task;
// @ts-expect-error an accuracy is a number or null
({ name: 'none', generates: false, accuracy: () => undefined }) satisfies Task;
// @ts-expect-error a likelihood task receives counts, not a prediction
({ name: 'none', generates: false, accuracy: (prediction: string) => prediction.length }) satisfies Task;

generation.score('42', text);
likelihood.accuracy({ labelled: 2, correct: 1 });
// @ts-expect-error the example is missing
generation.score('42');
// @ts-expect-error one prediction at a time
generation.score(['42'], text);
// @ts-expect-error an example of token ids has no response to compare with
generation.score('42', tokenized);
// @ts-expect-error the number of correct tokens is missing
likelihood.accuracy({ labelled: 2 });
// @ts-expect-error the kind of the task decides what it has
task.score('42', text);

// @ts-expect-error a task is read-only
task.name = 'other';
// @ts-expect-error a score is read-only
score.accuracy = 1;
// @ts-expect-error counts are read-only
counts.correct = 0;
// @ts-expect-error the registry is read-only
registry.loss = task;
// @ts-expect-error no such task in the schema
registry.bleu satisfies Task;
// @ts-expect-error qa has no task
({ loss: likelihood, tokens: likelihood, gsm8k: generation }) satisfies typeof tasks;
// @ts-expect-error the schema does not know bleu
({ ...registry, bleu: generation }) satisfies typeof tasks;
