import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemFailure } from '../files/system-failure.ts';
import type { Arrival, RoundId, Submission } from '../transport/contract.ts';
import { Refused } from '../../crds/facts/refusal.ts';

/**
 * The results of the round that is being collected, on disk as received. A killed run loses only the results that
 * clients were still computing, and memory holds one adapter at a time regardless of the number of clients. Files are
 * not synced: after a power failure, a torn file fails its digest check, and that client trains again.
 */
export class ReceivedResults {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async keep(
    round: RoundId,
    client: number,
    { header, payload }: Pick<Submission, 'header' | 'payload'>,
  ): Promise<void> {
    const folder = this.#folderOf(round);
    const path = join(folder, `client-${client}`);
    try {
      await mkdir(folder, { recursive: true });
      await writeFile(`${path}.safetensors`, payload);
      // The final name marks the result as complete.
      await writeFile(`${path}.partial`, header);
      await rename(`${path}.partial`, `${path}.json`);
    } catch (error) {
      throw systemFailure(error, `cannot write ${path}`);
    }
  }

  /** The stored results of an attempt at a round, by client. */
  async of(round: RoundId): Promise<Map<number, Arrival>> {
    const names = await namesIn(this.#folderOf(round));
    const clients = names.flatMap((name) => /^client-(\d+)\.json$/.exec(name)?.[1] ?? []).map(Number);
    const arrivals = new Map<number, Arrival>();
    for (const client of clients.sort((a, b) => a - b)) arrivals.set(client, await this.#arrival(round, client));
    return arrivals;
  }

  async forget(round: RoundId, client: number): Promise<void> {
    const path = join(this.#folderOf(round), `client-${client}`);
    await rm(`${path}.json`, { force: true });
    await rm(`${path}.safetensors`, { force: true });
  }

  /** Removes the results of all rounds. */
  async clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #arrival(round: RoundId, client: number): Promise<Arrival> {
    const path = join(this.#folderOf(round), `client-${client}`);
    const payload = `${path}.safetensors`;
    const gone = () => {
      throw new Refused('malformed', `${payload} is missing`);
    };
    const bytes = await stat(payload).then(
      ({ size }) => size,
      () => 0,
    );
    return { header: await readFile(`${path}.json`, 'utf8'), bytes, read: () => readFile(payload).catch(gone) };
  }

  #folderOf({ round, attempt }: RoundId): string {
    return join(this.#folder, `round-${round}-attempt-${attempt}`);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
