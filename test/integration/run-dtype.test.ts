// spec.model.dtype: the frozen weights are rounded once, into the run's cache, and then used from there.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { readTensor, writeSafetensors } from '../../worker/safetensors/safetensors.ts';
import { roundFromFloat32 } from '../../worker/safetensors/float-rounding.ts';
import { widenToFloat32 } from '../../worker/safetensors/float-formats.ts';
import { runTinyJob, writeTinyJob } from '../support/tiny-job.ts';

const withDtype = (dtype: string) => ({ model: `{ uri: model, dtype: ${dtype} }` });

async function finalLoss(directory: string, sections: Record<string, string>): Promise<number> {
  const job = writeTinyJob(directory, sections);
  const result = await runTinyJob(job, join(directory, 'run'));
  if (result.outcome !== 'succeeded' || result.report.final === null)
    throw new Error('the run did not come to an evaluation');
  return result.report.final.adapFu.loss;
}

t.test('a run with bfloat16 equals a run of the rounded model', async (t) => {
  const directory = t.testdir({});
  const loss = await finalLoss(directory, withDtype('bfloat16'));
  const [cached = ''] = readdirSync(join(directory, 'run/cache')).filter((name) => name.startsWith('weights-'));
  t.match(cached, /-bfloat16$/);

  // The same weights, rounded here and stored in float32.
  rmSync(join(directory, 'run'), { recursive: true });
  const model = await openModelDirectory(join(directory, 'model'));
  const rounded = [...model.weights].map(([name, entry]) => {
    const values = readTensor(entry.file, entry);
    widenToFloat32('BF16', roundFromFloat32('BF16', values), values);
    return { name, dtype: 'F32', shape: entry.shape, data: new Uint8Array(values.buffer) } as const;
  });
  const job = writeTinyJob(directory);
  writeSafetensors(join(directory, 'model/model.safetensors'), rounded);
  const result = await runTinyJob(job, join(directory, 'run'));
  t.match(result, { outcome: 'succeeded', report: { final: { adapFu: { loss } } } }, 'to the same bits');
  t.notOk(existsSync(join(directory, 'run/cache', cached)));
});

t.test('bfloat16 changes the result, float32 does not', async (t) => {
  const stored = await finalLoss(t.testdir({}), {});
  t.equal(await finalLoss(t.testdir({}), withDtype('float32')), stored);
  t.not(await finalLoss(t.testdir({}), withDtype('float16')), stored);
});
