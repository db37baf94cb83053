import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FedBiOTJobSpec } from '../../crds/types.ts';
import { MANIFEST_FILE, parseManifest } from '../../worker/bundle/manifest.ts';
import type { BundleManifest } from '../../worker/bundle/manifest.ts';
import { writeBundle } from '../../worker/bundle/write.ts';
import type { WrittenBundle } from '../../worker/bundle/write.ts';
import { sha256 } from '../../worker/files/sha256.ts';
import { openModelDirectory } from '../../worker/model/directory.ts';
import { quantizeEmulator } from '../../worker/model/quantize.ts';
import { readJob } from '../../worker/run/job-manifest.ts';
import { federateModel } from '../../worker/run/job-model.ts';
import { writeTinyJob } from '../support/tiny-job.ts';
import { WHOLE_BLOCKS } from '../support/tiny-model.ts';

/** A bundle of a tiny model, and a copy with other content. */
export interface OddBundle {
  readonly spec: FedBiOTJobSpec;
  readonly bundle: WrittenBundle;
  readonly manifest: BundleManifest;
  /** The folder of the copy. */
  readonly odd: string;
  /**
   * Makes the copy, with another content of one file and a manifest with matching digests: only then are files read.
   * @returns the copy's id
   */
  readonly withFile: (name: BundleManifest['files'][number]['name'], bytes: Uint8Array) => string;
}

/** @param root an empty folder */
export async function oddBundle(root: string, weights: FedBiOTJobSpec['emulator']['weights']): Promise<OddBundle> {
  const alignment = '{ initialSteps: 2, stepsPerRound: 1, sequenceLength: 192 }';
  const emulator = `{ weights: ${weights}, layerDropRate: 0.5, alignment: ${alignment} }`;
  const { spec } = readJob(writeTinyJob(root, { emulator }, WHOLE_BLOCKS));
  const directory = await openModelDirectory(join(root, 'model'));
  const stored = await federateModel(directory, spec, async () => []);
  const options = { modelSha256: 'x', checkUnchanged: () => {}, held: 'auto', product: 'Float32' } as const;
  const model =
    weights === 'AsStored' ? stored : (await quantizeEmulator(stored, weights, join(root, 'weights'), options)).model;
  const bundle = await writeBundle(model, directory.path, join(root, 'bundle'));
  const manifest = parseManifest(readFileSync(join(bundle.directory, MANIFEST_FILE)));
  const odd = join(root, 'odd');
  const withFile: OddBundle['withFile'] = (name, bytes) => {
    rmSync(odd, { recursive: true, force: true });
    cpSync(bundle.directory, odd, { recursive: true });
    writeFileSync(join(odd, name), bytes);
    const files = manifest.files.map((file) =>
      file.name === name ? { name, bytes: bytes.byteLength, sha256: sha256(bytes) } : file,
    );
    const text = Buffer.from(JSON.stringify({ ...manifest, files }));
    writeFileSync(join(odd, MANIFEST_FILE), text);
    return sha256(text);
  };
  return { spec, bundle, manifest, odd, withFile };
}
