import { Compute } from '../../worker/engine/compute.ts';

/** FEDBIOT_TEST_PROVIDER=cuda runs the engine's tests on a GPU, with the same tolerances. */
const provider = process.env['FEDBIOT_TEST_PROVIDER'] === 'cuda' ? 'cuda' : 'cpu';

/** A compute process for tests of computed values. */
export const testCompute = (threads = 1): Compute => new Compute({ threads, provider });
