// A step whose loss or gradient is NaN or infinite: where, on which sequences, and what to do.
import t from 'tap';
import { NotFiniteError } from '../../worker/engine/trainer.ts';
import type { FloatDtype } from '../../worker/safetensors/float-formats.ts';
import { explainNotFinite } from '../../worker/training/steps.ts';

const weightsIn = (...dtypes: FloatDtype[]) =>
  new Map(dtypes.map((dtype, i) => [`w${i}`, { file: '', offset: 0, bytes: 0, shape: [], dtype }]));

const explained = (cause: Error, ...dtypes: FloatDtype[]) =>
  explainNotFinite({ step: 'step 3', isFirst: false, sequenceIds: ['a', 'b'], weights: weightsIn(...dtypes) }, () =>
    Promise.reject(cause),
  );

t.test('a step that is not finite names its sequences, and float16 if weights are held in it', async (t) => {
  const cause = new NotFiniteError('the loss is NaN');
  const told = { name: 'Diverged', message: 'step 3: the loss is NaN (sequences a, b)', cause };
  await t.rejects(explained(cause, 'F32', 'F16'), { ...told, hint: /learning rate.*float16.*model\.dtype to auto/ });
  await t.rejects(explained(cause, 'F32', 'BF16'), { ...told, hint: /The last checkpoint is intact\.$/ });
  const first = explainNotFinite({ step: 'step 0', isFirst: true, sequenceIds: [], weights: new Map() }, () =>
    Promise.reject(cause),
  );
  await t.rejects(first, {
    message: /^step 0: /,
    hint: /^The model itself may .*`fedbiot eval` tells.* Otherwise the learning rate/,
  });
  const defect = new TypeError('a defect');
  await t.rejects(explained(defect, 'F16'), defect, 'any other error is unchanged');
});
