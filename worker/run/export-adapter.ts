import { existsSync, readdirSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from '../../crds/facts/user-error.ts';
import { makeFolder } from '../files/durable-files.ts';
import { readRunManifest } from './run-directory.ts';
import { openModelDirectory } from '../model/directory.ts';
import type { ModelDirectory } from '../model/directory.ts';
import { writeMergedModel } from '../model/merge.ts';
import { exportPeft, openPeft } from '../model/lora/peft.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';
import { verificationIn } from '../safetensors/checked-content.ts';
import { systemFailure } from '../files/system-failure.ts';
import { readJobRecord } from './job-manifest.ts';
import { savedAdapter } from './saved-adapter.ts';
import type { SavedAdapter } from './saved-adapter.ts';

export interface ExportOptions {
  /** Folder of the run. */
  readonly run: string;
  /** Folder to write. It must be empty or not exist. */
  readonly to: string;
  /** Write the whole model with the adapter merged in, instead of the adapter. */
  readonly merge: boolean;
  /** Folder that remembers the content of files between processes; null: none. */
  readonly cache: string | null;
}

export interface ExportResult extends Pick<SavedAdapter, 'checkpoint' | 'rounds'> {
  /** Rounds of the whole job. */
  readonly ofRounds: number;
  /** Files written, relative to `to`. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
}

/**
 * Writes a run's adapter as a PEFT directory, or merged into its model. For a run that has not finished, this is the
 * adapter of its newest checkpoint. The export is opened again before the folder is renamed to `to`, so `to` holds a
 * complete export or nothing.
 * @throws UserError if there is no such run or adapter, its model is missing or has changed, or `to` cannot be written
 */
export async function exportAdapter({ run, to, merge, cache }: ExportOptions): Promise<ExportResult> {
  const target = resolve(to);
  if (existsSync(target) && (!statSync(target).isDirectory() || readdirSync(target).length > 0)) {
    throw new UserError(`${to} exists and is not an empty folder`, { hint: 'Choose another --to.' });
  }
  const { spec } = readJobRecord(run);
  const model = await openModelDirectory(spec.model.uri);
  const { adapter, checkpoint, rounds } = await savedAdapter(run, spec, model.config);
  if (merge) await checkUnchanged(run, model, cache);
  await writeFolder(target, async (folder) => {
    if (merge) {
      await writeMergedModel(model, adapter, folder);
      model.checkUnchanged();
      await (await openModelDirectory(folder)).sha256();
      await loadTokenizer(folder, model.config);
    } else {
      exportPeft(folder, adapter, spec.model.uri);
      openPeft(folder, model.config);
    }
  });
  const files = readdirSync(target).map((name) => ({ name, bytes: statSync(join(target, name)).size }));
  return { checkpoint, rounds, ofRounds: spec.federation.rounds, files };
}

/** An adapter belongs to the weights it was trained with; the run's manifest.json has their hash. */
async function checkUnchanged(run: string, model: ModelDirectory, cache: string | null): Promise<void> {
  const { sha256 } = readRunManifest(join(run, 'manifest.json'));
  if ((await model.sha256(verificationIn(cache))) === sha256['model']) return;
  throw new UserError(`${model.path} is not the model that the run in ${run} was made with: its files have changed`, {
    hint: 'Restore the model, or export without --merge.',
  });
}

/** Calls `fill` with a temporary folder, and renames it to `target` when `fill` has written and checked it. */
async function writeFolder(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const unfinished = join(dirname(target), `.unfinished-${basename(target)}`);
  try {
    await rm(unfinished, { recursive: true, force: true });
    makeFolder(unfinished);
    await fill(unfinished);
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
    throw systemFailure(error, `cannot write ${target}`);
  }
}
