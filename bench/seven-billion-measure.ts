import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FedBiOTJobSpec } from '../crds/types.ts';
import { loadData } from '../worker/data/source.ts';
import { jobMemory, roundingMemoryOf, scoringMemory } from '../worker/estimate/job-memory.ts';
import type { MachineMemory } from '../worker/estimate/job-memory.ts';
import { withPlannedComputeWeights } from '../worker/estimate/planned-quantized.ts';
import { openModelDirectory } from '../worker/model/directory.ts';
import { readReportJson } from '../worker/report/report-files.ts';
import { estimateManifest, plannedModel } from '../worker/run/estimate-job.ts';
import { readJob } from '../worker/run/job-manifest.ts';
import { wholeModel } from '../worker/run/whole-model.ts';
import { stepsOf } from './fedbiot.ts';
import { runInGroup } from './memory-group.ts';
import type { GroupMemory } from './memory-group.ts';
import type { PlayedRole, RoleResult } from './role.ts';

const FEDBIOT = fileURLToPath(new URL('../worker/fedbiot.ts', import.meta.url));
const ROLE = fileURLToPath(new URL('role.ts', import.meta.url));

/** Peak memory in bytes: of all, and without the pages of files. */
interface Peak {
  /** Null if it was not measured, as a limit may have dropped pages. */
  readonly total: number | null;
  readonly anonymous: number;
}

export interface Measured {
  readonly what: PlayedRole | 'run' | 'eval';
  readonly length: number;
  /** The emulator's weights. */
  readonly weights: FedBiOTJobSpec['emulator']['weights'];
  /** The weights of the server's passes without a gradient. */
  readonly computeWeights: FedBiOTJobSpec['model']['computeWeights'];
  /** Bytes of the control group's limit; null: none. */
  readonly limit: number | null;
  /** Seconds from start to end, with loading. */
  readonly seconds: number;
  /** Peaks of all processes. */
  readonly memory: GroupMemory;
  /** The processes that the plan speaks of: the compute process of a role, all processes of the others. */
  readonly peak: Peak;
  readonly planned: MachineMemory;
  /** Seconds of each step. */
  readonly steps: { readonly alignment: readonly number[]; readonly client: readonly number[] };
  /** Seconds of a client's whole phase, per step: with the emulator's pass. Null if there was no client. */
  readonly clientPhase: number | null;
}

interface Setting {
  /** The manifest, written by writeSevenBillionJob. */
  readonly job: string;
  readonly threads: number;
  /** Memory limit of the control group in bytes. */
  readonly limit: number | null;
}

/** Measures one role of a job, alone in its processes. */
export async function measureRole(role: PlayedRole, { job, threads, limit }: Setting): Promise<Measured> {
  const { spec } = readJob(job);
  const directory = await openModelDirectory(spec.model.uri);
  const model = await plannedModel(directory, spec);
  dropPages(directory.path);
  const { stdout, ...group } = await runInGroup(
    process.execPath,
    [ROLE, role, job, '--threads', String(threads)],
    limit,
  );
  const { compute, anonymous, seconds, steps }: RoleResult = JSON.parse(stdout);
  return {
    what: role,
    length: spec.federation.local.sequenceLength,
    ...formatsOf(spec),
    limit,
    ...group,
    // The plan of a rounding counts no pages of files.
    peak: { total: limit === null && role !== 'rounding' ? compute : null, anonymous },
    planned:
      role === 'rounding'
        ? { total: roundingMemoryOf(model, spec).compute, filePages: 0 }
        : // States and workers count in a run alone.
          jobMemory(model, spec, { statesBytes: 0, workers: 1, heldOutSequences: await heldOutRecords(spec) })[role],
    steps: { alignment: role === 'server' ? steps : [], client: role === 'client' ? steps : [] },
    clientPhase: role === 'client' ? seconds / steps.length : null,
  };
}

/** Folders of a job's run and of its trace. */
export const outOf = (job: string): string => `${job}.run`;
export const traceOf = (job: string): string => `${job}.trace`;

/** Measures `fedbiot run` of a job; the folders of an earlier measurement are removed. */
export async function measureRun({ job, threads, limit }: Setting): Promise<Measured> {
  const { spec } = readJob(job);
  const { memory } = await estimateManifest(job);
  const out = outOf(job);
  for (const folder of [out, traceOf(job)]) rmSync(folder, { recursive: true, force: true });
  dropPages(spec.model.uri);
  const { stdout: _, ...group } = await runInGroup(
    process.execPath,
    [FEDBIOT, 'run', job, '--out', out, '--trace', traceOf(job), '--threads', String(threads), '--quiet'],
    limit,
  );
  const steps = stepsOf(out);
  const seconds = (phase: 'align' | 'local') => steps.filter((step) => step.phase === phase).map(({ ms }) => ms / 1000);
  const { rounds } = await readReportJson(out);
  return {
    what: 'run',
    length: spec.federation.local.sequenceLength,
    ...formatsOf(spec),
    limit,
    ...group,
    peak: { total: group.memory.resident, anonymous: group.memory.anonymous },
    planned: { total: memory.run, filePages: memory.filePages ?? 0 },
    steps: { alignment: seconds('align'), client: seconds('local') },
    clientPhase: rounds[0]!.seconds.local / seconds('local').length,
  };
}

/** Measures `fedbiot eval` of a job's full model, without an adapter, on its held-out data. */
export async function measureEval({ job, threads, limit }: Setting): Promise<Measured> {
  const { spec } = readJob(job);
  const length = spec.federation.local.sequenceLength;
  const directory = await openModelDirectory(spec.model.uri);
  dropPages(directory.path);
  const { computeWeights } = spec.model;
  const whole = wholeModel(directory, null);
  const { stdout: _, ...group } = await runInGroup(
    'env',
    [
      // Weights in 8 bits are kept there.
      `XDG_CACHE_HOME=${job}.cache`,
      process.execPath,
      FEDBIOT,
      'eval',
      ...['--model', spec.model.uri, '--data', spec.data.eval!.uri, '--compute-weights', computeWeights],
      ...['--task', 'loss', '--threads', String(threads), '--json'],
    ],
    limit,
  );
  return {
    what: 'eval',
    length,
    ...formatsOf(spec),
    limit,
    ...group,
    peak: { total: limit === null ? group.memory.resident : null, anonymous: group.memory.anonymous },
    planned: scoringMemory(computeWeights === 'Int8' ? withPlannedComputeWeights(whole) : whole, {
      ...spec.evaluation,
      length,
      sequences: await heldOutRecords(spec),
    }),
    steps: { alignment: [], client: [] },
    clientPhase: null,
  };
}

const formatsOf = ({ emulator: { weights }, model: { computeWeights } }: FedBiOTJobSpec) => ({
  weights,
  computeWeights,
});

async function heldOutRecords({ data }: FedBiOTJobSpec): Promise<number> {
  return data.eval ? (await loadData(data.eval, '.')).records.length : 0;
}

/**
 * Has the kernel forget a folder's files, so that the program under test reads them from disk and its group is charged
 * for their pages, as in a pod on a fresh node.
 */
function dropPages(folder: string): void {
  for (const file of readdirSync(folder))
    execFileSync('dd', [`if=${join(folder, file)}`, 'iflag=nocache', 'count=0', 'status=none']);
}
