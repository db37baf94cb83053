import Type from 'typebox';
import { choice, integer, object, string } from '../json-schema/fields.ts';
import { lora } from './lora.ts';

export const Adapter = object('The layers that clients train and that the server plugs into the full model.', {
  placement: Type.Optional(
    choice(
      'Last: the last layers. Both: the first and the last, so that the gradient crosses the frozen emulator. ' +
        'Default by method: FedBiOT and FullModel Last, FedOT and OffsiteTuning Both.',
      ['Last', 'Both'],
      { preset: 'by method' },
    ),
  ),
  layers: Type.Optional(
    integer('s: number of adapter layers; with placement Both, at each end. Default by placement: Last 4, Both 2.', {
      minimum: 1,
      maximum: 1024,
      preset: 'by placement',
    }),
  ),
  lora: lora('the adapter’s layers'),
  initFrom: Type.Optional(
    string(
      'Directory of a PEFT adapter (adapter_config.json, adapter_model.safetensors) to start from; a relative path starts at the ' +
        'manifest’s folder, on a cluster at volumes.model. If omitted, A is initialised at random and B with 0.',
      { minLength: 1, maxLength: 4096 },
    ),
  ),
});
