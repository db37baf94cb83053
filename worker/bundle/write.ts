import { existsSync } from 'node:fs';
import { copyFile, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurably } from '../files/durable-files.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { sha256 } from '../files/sha256.ts';
import { READ_ONCE } from '../safetensors/checked-content.ts';
import { bundleFileSha256 } from './content.ts';
import { readRows, streamSafetensors } from '../safetensors/stream.ts';
import { decoderTensors } from '../model/config/tensors.ts';
import { tensorsOf, UNQUANTIZED } from '../model/weights/quantized-index.ts';
import { BUNDLE_FILES, MANIFEST_FILE, WEIGHTS_FILE } from './manifest.ts';
import type { BundleFile } from './manifest.ts';

/** A bundle on this machine. */
export interface WrittenBundle {
  readonly directory: string;
  /** SHA-256 (hex) of its manifest. */
  readonly sha256: string;
  /** Size of its manifest. */
  readonly bytes: number;
}

/**
 * Writes the parts of a model that clients need into a new folder, without the layers that they must not have. The
 * bytes depend only on the model and its split. `modelDirectory` contains config and tokenizer; weights are streamed
 * from the files of the model's index.
 * @throws UserError if it cannot be written; the signal's reason on abort
 */
export async function writeBundle(
  model: FederatedModel,
  modelDirectory: string,
  out: string,
  verification = READ_ONCE,
): Promise<WrittenBundle> {
  const { signal } = verification;
  const { config, weights, quantized, split } = model;
  await mkdir(out);
  for (const name of BUNDLE_FILES) {
    if (name !== WEIGHTS_FILE && existsSync(join(modelDirectory, name)))
      await copyFile(join(modelDirectory, name), join(out, name));
  }
  const layers = [...split.front, ...split.emulator, ...split.tail];
  const stored = decoderTensors(config, layers, quantized ? split.emulator : []).map(({ name }) => {
    const entry = weights.get(name);
    if (!entry) throw new Error(`the model has no weight ${name}`);
    return { ...entry, name };
  });
  const tensors = [...stored, ...tensorsOf(quantized?.emulator ?? UNQUANTIZED)].map((entry) => {
    const { name, dtype, shape } = entry;
    return { name, dtype, shape, chunks: () => readRows(entry) };
  });
  await streamSafetensors(join(out, WEIGHTS_FILE), tensors, { metadata: { format: 'pt' }, ...(signal && { signal }) });

  const files: BundleFile[] = [];
  for (const name of BUNDLE_FILES) {
    const path = join(out, name);
    if (existsSync(path))
      files.push({ name, bytes: (await stat(path)).size, sha256: await bundleFileSha256(out, name, verification) });
  }
  const { front, teacher, emulator, tail, dropped } = split;
  const manifest = Buffer.from(
    JSON.stringify({ version: 1, split: { front, teacher, emulator, tail, dropped }, files }),
  );
  // Written last, so that a folder with a manifest is complete.
  await writeDurably(join(out, MANIFEST_FILE), manifest);
  return { directory: out, sha256: sha256(manifest), bytes: manifest.byteLength };
}
