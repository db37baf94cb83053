import type { Role } from '../crds/facts/role.ts';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { FedBiOTJobSpec } from '../crds/types.ts';
import type { Provider } from '../worker/engine/compute-protocol.ts';
import { run } from './fedbiot.ts';
import { whileWatchingGpu } from './gpu-memory.ts';
import type { RoleMemory } from './role.ts';
import { replayInTorch } from './torch-replay.ts';

const ROLE = fileURLToPath(new URL('role.ts', import.meta.url));

/** Peak resident memory of a role in bytes, ours and torch's. */
export interface MemoryMeasurement {
  readonly role: Role;
  readonly batchSize: number;
  readonly klWeight: number;
  readonly ours: RoleMemory;
  readonly torch: number;
  /** Bytes of the full model's layers, which torch_round.py holds in the same process and a client would not hold. */
  readonly torchSurplus: number;
  /** Peak memory of the GPU in bytes, if both sides computed there. */
  readonly gpu: { readonly ours: number; readonly torch: number } | null;
}

/** Measures each role alone: ours in separate processes, torch's as a replay of only the role's steps. */
export async function measureMemory(options: {
  readonly folder: string;
  readonly path: string;
  readonly spec: FedBiOTJobSpec;
  readonly model: string;
  readonly python: string;
  readonly threads: number;
  readonly provider: Provider;
  readonly batchSize: number;
  readonly klWeight: number;
}): Promise<MemoryMeasurement[]> {
  const { folder, path, threads, provider, batchSize, klWeight } = options;
  const trace = join(folder, 'trace');
  const { plan } = await run({ job: path, out: join(folder, 'ours'), threads, provider, trace });
  const measurements: MemoryMeasurement[] = [];
  // The client's work does not depend on the server's alignment loss.
  for (const role of klWeight === 0 ? (['server', 'client'] as const) : (['server'] as const)) {
    const alone = promisify(execFile)(process.execPath, [
      ROLE,
      role,
      path,
      '--threads',
      String(threads),
      '--provider',
      provider,
    ]);
    const [{ stdout }, ourGpu] = await whileWatchingGpu(provider, alone);
    const client = role === 'server' ? -1 : 0;
    const replay = replayInTorch({
      ...options,
      precision: 'float32',
      plan,
      trace,
      out: join(folder, `torch-${role}`),
      only: (batch) => batch.client === client,
    });
    const [torch, torchGpu] = await whileWatchingGpu(provider, replay);
    const { fullModel, emulatorBundle } = plan.bytes;
    const { total, dropped } = plan.layers;
    const layer = (fullModel - emulatorBundle) / dropped.length;
    const torchSurplus = role === 'server' ? 0 : total * layer;
    const gpu = ourGpu === null || torchGpu === null ? null : { ours: ourGpu, torch: torchGpu };
    measurements.push({
      role,
      batchSize,
      klWeight,
      ours: JSON.parse(stdout) as RoleMemory,
      torch: torch.peak_rss_mb * 2 ** 20,
      torchSurplus,
      gpu,
    });
  }
  return measurements;
}
