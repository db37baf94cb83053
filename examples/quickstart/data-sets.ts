import { drawRecords, privateRecord, publicRecord } from './tasks.ts';
import type { TaskRecord } from './tasks.ts';

const SEED = 0;

/**
 * The quickstart's files: the server's public records, the clients' private ones, and held-out ones like the clients'.
 */
export function dataSets(): { public: TaskRecord[]; train: TaskRecord[]; eval: TaskRecord[] } {
  const held = drawRecords(privateRecord, 250, { seed: SEED, purpose: 'evaluation' });
  return {
    public: drawRecords(publicRecord, 1000, { seed: SEED, purpose: 'public' }),
    train: drawRecords(privateRecord, 1200, { seed: SEED, purpose: 'train', except: held }),
    eval: held,
  };
}

/** Records of both kinds that monitor pretraining, and from whose text the tokenizer is learned. */
export function probes(): { public: TaskRecord[]; private: TaskRecord[] } {
  return {
    public: drawRecords(publicRecord, 600, { seed: SEED, purpose: 'probe public' }),
    private: drawRecords(privateRecord, 200, { seed: SEED, purpose: 'probe private' }),
  };
}
