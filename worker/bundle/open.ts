import { realpathSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { readDecoderConfig } from '../model/directory.ts';
import { modelWithSplit, withQuantizedEmulator } from '../model/federated-model.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { sha256 } from '../files/sha256.ts';
import { readSafetensorsHeader } from '../safetensors/safetensors.ts';
import { splitLayers } from '../model/split.ts';
import type { LayerSplit } from '../model/split.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { HEAD } from '../model/config/tensors.ts';
import { requireFinite } from '../model/weights/checked-weights.ts';
import { indexQuantized, tensorsOf, UNQUANTIZED } from '../model/weights/quantized-index.ts';
import type { QuantizedWeights } from '../model/weights/quantized-index.ts';
import { indexWeights } from '../model/weights/weight-index.ts';
import { READ_ONCE } from '../safetensors/checked-content.ts';
import { bundleFileSha256, bundleWeights } from './content.ts';
import { MANIFEST_FILE, MAX_MANIFEST_BYTES, parseManifest, WEIGHTS_FILE } from './manifest.ts';

/** A client's model: the server's, without the weights of the layers that clients must not have. */
export interface OpenedBundle {
  readonly model: FederatedModel;
  readonly tokenizer: Tokenizer;
}

/**
 * Opens a bundle and checks everything about it: the manifest against the bundle's `id`, each file against the
 * manifest, the split against the job, the weights against the config.
 * @param product how this machine multiplies by quantised matrices
 * @throws UserError that names the problem
 */
export async function openBundle(
  directory: string,
  id: string,
  spec: Pick<FedBiOTJobSpec, 'adapter' | 'emulator'>,
  verification = READ_ONCE,
  product: QuantizedWeights['product'] = 'Float32',
): Promise<OpenedBundle> {
  const manifestPath = join(directory, MANIFEST_FILE);
  await checkSize(manifestPath, (bytes) => bytes <= MAX_MANIFEST_BYTES);
  const bytes = await readFile(manifestPath);
  if (sha256(bytes) !== id) throw damaged(manifestPath);
  const { split, files } = parseManifest(bytes);
  for (const file of files) {
    const path = join(directory, file.name);
    await checkSize(path, (size) => size === file.bytes);
    if ((await bundleFileSha256(directory, file.name, verification)) !== file.sha256) throw damaged(path);
  }
  const declared = readDecoderConfig(directory);
  checkSplit(split, declared.layers, spec);
  const layers = [...split.front, ...split.emulator, ...split.tail];
  const format = spec.emulator.weights === 'AsStored' ? null : spec.emulator.weights;
  const { config, weights } = indexWeights(directory, declared, layers, format ? split.emulator : []);
  const file = join(directory, WEIGHTS_FILE);
  const quantized = format ? indexQuantized(file, format, config, split.emulator) : UNQUANTIZED;
  const known = new Set([HEAD, ...weights.keys(), ...tensorsOf(quantized).map(({ name }) => name)]);
  const extra = [...readSafetensorsHeader(file).tensors.keys()].find((name) => !known.has(name));
  if (extra !== undefined) throw new UserError(`the emulator bundle holds ${extra}, which no client may have`);
  requireFinite(weights, realpathSync(file), (await bundleWeights(directory, verification)).nonFinite);
  const model = modelWithSplit({ config, weights }, split, spec);
  return {
    model: format ? withQuantizedEmulator(model, quantized, product) : model,
    tokenizer: await loadTokenizer(directory, config),
  };
}

/**
 * Checks that the split is one that the job's spec can produce. Only the server can determine which inner layers are
 * the most important.
 */
function checkSplit(
  split: LayerSplit,
  layers: number,
  { adapter, emulator }: Pick<FedBiOTJobSpec, 'adapter' | 'emulator'>,
): void {
  const { layerDropRate, layerSelection } = emulator;
  const uniform = splitLayers({
    layers,
    placement: adapter.placement,
    adapterLayers: adapter.layers,
    layerDropRate,
    selection: 'Uniform',
  });
  const kept = new Set(split.emulator);
  const possible: LayerSplit =
    layerSelection === 'Uniform' || kept.size !== uniform.emulator.length
      ? uniform
      : {
          ...uniform,
          emulator: uniform.teacher.filter(
            (layer, i) => kept.has(layer) || i === 0 || i === uniform.teacher.length - 1,
          ),
          dropped: uniform.teacher.filter((layer) => !kept.has(layer)),
        };
  for (const part of ['front', 'teacher', 'emulator', 'tail', 'dropped'] as const) {
    if (String(split[part]) === String(possible[part])) continue;
    throw new UserError(
      `the emulator bundle has layers ${split[part].join(', ')} as ${part}, but the job requires ${possible[part].join(', ')}`,
      {
        hint: 'Server and clients must run the same version, and the same job.',
      },
    );
  }
}

async function checkSize(path: string, right: (bytes: number) => boolean): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (!found?.isFile() || !right(found.size)) throw damaged(path);
}

function damaged(path: string): UserError {
  return new UserError(`${path} is not what the server announced: it is missing or damaged`, {
    hint: 'Remove the cached bundle: it is fetched again.',
  });
}
