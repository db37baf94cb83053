import { openModelDirectory } from '../../model/directory.ts';
import type { ModelDirectory } from '../../model/directory.ts';
import { loadTokenizer } from '../../tokenizer/tokenizer.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { scanFinite } from '../../model/weights/weight-index.ts';
import { emitWarningsOnFailure, loadServerData } from '../job-data.ts';
import type { ServerData } from '../job-data.ts';
import { absoluteUri } from '../job-manifest.ts';
import type { UriFolders } from '../job-manifest.ts';
import type { Pod } from './context.ts';
import { uriFolders } from './context.ts';

/** The inputs of a server: the full model, public data and evaluation data, never the clients' data. */
export interface ServerInputs {
  readonly folders: UriFolders;
  readonly model: ModelDirectory;
  readonly tokenizer: Tokenizer;
  readonly data: ServerData;
  /** Warnings, such as about records that were truncated or left out. */
  readonly warnings: readonly string[];
}

/** @throws UserError if the model or the data is invalid */
export async function openServerInputs({ context, job: { spec }, log }: Pod): Promise<ServerInputs> {
  const folders = uriFolders(spec, context.folders);
  const model = await openModelDirectory(absoluteUri(spec.model.uri, folders.model));
  await scanFinite(model.weights, { signal: context.signal });
  const tokenizer = await loadTokenizer(model.path, model.config);
  const warnings = [...model.warnings];
  const data = await emitWarningsOnFailure(
    warnings,
    (message) => log.warn(message),
    () => loadServerData(spec, tokenizer, folders.publicData, (message) => warnings.push(message)),
  );
  return { folders, model, tokenizer, data, warnings };
}
