import t from 'tap';
import type { TextExample } from '../../worker/data/example.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { finalNumber, gsm8k } from '../../worker/tasks/gsm8k.ts';
import { normalizeAnswer, questionAnswer } from '../../worker/tasks/question-answer.ts';
import { tasks } from '../../worker/tasks/registry.ts';

const example = (response: string, acceptedAnswers = [response]): TextExample => ({
  kind: 'text',
  file: 'd.jsonl',
  line: 4,
  fields: {},
  prompt: 'p',
  completion: response,
  earlierCompletions: [],
  addSpecialTokens: true,
  response,
  acceptedAnswers,
});

t.test('the final number of a solution', async (t) => {
  const cases: [string, string | null][] = [
    ['Natalia sold 48/2 = <<48/2=24>>24 clips.\n#### 72', '72'],
    ['#### 1,234', '1234'],
    ['#### $1,234.50', '1234.5'],
    ['####-5', '-5'],
    ['#### -$5', '-5'],
    ['#### $-5', '-5'],
    ['#### −7', '-7'],
    ['#### 18.', '18'],
    ['#### 18.00', '18'],
    ['#### 007', '7'],
    ['#### .50', '0.5'],
    ['#### 50%', '50'],
    ['#### about 12 eggs, not 13', '12'],
    ['#### 5\n\n### Instruction:\nWhat is 9?\n#### 10', '5'],
    ['so 12\n#### twelve', '12'],
    ['####\n8', '8'],
    ['The answer is 1,000,000.', '1000000'],
    ['first 3, then 4', '4'],
    ['in 2024,25', '25'],
    ['it is 10-3', '3'],
    ['from (2)-1', '1'],
    ['x-4', '4'],
    ['a loss of -4.', '-4'],
    ['-0', '0'],
    ['12345678901234567890123', '12345678901234567890123'],
    ['1.5.2', '2'],
    ['no number', null],
    ['####', null],
    ['', null],
  ];
  for (const [text, wanted] of cases) t.equal(finalNumber(text), wanted, JSON.stringify(text));
});

t.test('gsm8k compares numbers', async (t) => {
  const answer = example('2*500=<<2*500=1000>>1000\n#### 1,000');
  for (const [prediction, accuracy] of [
    ['#### 1000', 1],
    ['It is $1,000.00.', 1],
    ['#### 1001', 0],
    ['-1000', 0],
    ['', 0],
  ] as const) {
    t.same(gsm8k.score(prediction, answer), { accuracy }, prediction);
  }
  t.same(gsm8k.score('no number either', example('none')), { accuracy: 0 }, 'nothing equals nothing is not right');
  t.throws(() => gsm8k.check(example('none')), {
    constructor: UserError,
    message: /^d\.jsonl:4: the response contains no number/,
  });
  t.doesNotThrow(() => gsm8k.check(answer));
});

t.test('answers in SQuAD’s normal form', async (t) => {
  const cases: [string, string][] = [
    ['The  Beatles!', 'beatles'],
    ['an apple, a pear and the fig', 'apple pear and fig'],
    ['U.S.A.', 'usa'],
    ['Theater Anna', 'theater anna'],
    ['Padmé Amidala', 'padmé amidala'],
    ['édith á the', 'édith á'],
    ['“quoted”', '“quoted”'],
    ['The', ''],
  ];
  for (const [text, wanted] of cases) t.equal(normalizeAnswer(text), wanted, text);
});

t.test('question answering: exact match and F1, best over the accepted', async (t) => {
  const close = (found: { accuracy: number; f1?: number }, accuracy: number, f1: number, name: string) => {
    t.equal(found.accuracy, accuracy, name);
    t.ok(Math.abs((found.f1 ?? NaN) - f1) < 1e-12, `${name}: F1 ${found.f1}`);
  };
  const accepted = example('Jazmyn Bieber', ['Jazmyn Bieber', 'Jaxon Bieber']);
  const score = (prediction: string) => questionAnswer.score(prediction, accepted);
  close(score(' the jaxon bieber.\n\n### Instruction: more'), 1, 1, 'the second accepted answer, first line');
  close(score('Justin Bieber'), 0, 0.5, 'one word of two');
  close(score('Bieber Bieber Bieber Bieber'), 0, 1 / 3, 'a repeated word counts once');
  close(score(''), 0, 0, 'nothing');
  close(score('\n\nJaxon Bieber'), 1, 1, 'blank lines first');
  close(questionAnswer.score('the', example('A')), 1, 1, 'both empty after normalisation');
});

t.test('tasks by name', async (t) => {
  t.same(
    Object.entries(tasks).map(([name, task]) => [name, task.name, task.generates]),
    [
      ['loss', 'loss', false],
      ['tokens', 'tokens', false],
      ['gsm8k', 'gsm8k', true],
      ['qa', 'qa', true],
    ],
  );
  const { tokens, loss } = tasks;
  t.equal(!tokens.generates && tokens.accuracy({ labelled: 8, correct: 6 }), 0.75);
  t.equal(!tokens.generates && tokens.accuracy({ labelled: 0, correct: 0 }), null);
  t.equal(!loss.generates && loss.accuracy({ labelled: 8, correct: 6 }), null);
});
