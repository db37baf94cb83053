import type { FedBiOTJobSpec } from '../../crds/types.ts';
import type { FederatedModel } from '../model/federated-model.ts';
import { calibrationPass, clientDemand, evaluationDemand, scoringDemand, serverDemand } from './role-demand.ts';
import type { Demand, Scoring, Session } from './role-demand.ts';
import { roundingMemory } from './rounding-memory.ts';
import { areLarge, packedWeights, sessionWeights, weightsOfSession, widenedAtUse } from './session-weights.ts';
import type { WeightSelection } from './session-weights.ts';

const MIB = 2 ** 20;

/** A process of Node with onnxruntime, measured. */
const PROCESS_BYTES = 30 * MIB;

/** Pages of their files in it, measured. The processes of a machine share them, and use them all the time. */
const PROGRAM_PAGES = 60 * MIB;

/** A session's graph, measured; the optimizer is one as well. */
const SESSION_BYTES = 15 * MIB;

/**
 * The main process, which reads data, transfers tensors and writes the run's folder, without those pages; measured with
 * ten thousand records.
 */
const MAIN_BYTES = 240 * MIB;

/** Memory of one process, or of all processes of a machine or a pod, in bytes. */
export interface MachineMemory {
  readonly total: number;
  /** Pages of the model's files within `total`. The kernel may drop them, and reads them again when they are used. */
  readonly filePages: number;
}

export interface JobMemory {
  /** The compute process of each role. A page that two of its sessions map counts twice, as in its resident size. */
  readonly server: MachineMemory;
  readonly client: MachineMemory;
  readonly evaluation: MachineMemory;
  /** `fedbiot run` on one machine: all roles, counting weights that several sessions map once. */
  readonly run: MachineMemory;
}

/**
 * Peak memory of each role and of a whole run, in bytes.
 * @param options.statesBytes hidden states held in memory
 * @param options.workers compute processes of `fedbiot run`
 * @param options.heldOutSequences number of held-out records
 */
export function jobMemory(
  model: FederatedModel,
  spec: FedBiOTJobSpec,
  options: { statesBytes: number; workers: number; heldOutSequences: number },
): JobMemory {
  const server = serverDemand(model, spec);
  const client = clientDemand(model, spec);
  const evaluation = evaluationDemand(model, spec, options.heldOutSequences);
  const alone = (demand: Demand): MachineMemory => {
    const { loaded } = sessionsOf(model, demand);
    const weights = residentWeights(model, loaded);
    const own = processBytes(loaded) + packedWeightsOf(model, loaded) + demand.lora + workBytes(model, demand);
    return { total: own + weights.resident + PROGRAM_PAGES, filePages: weights.filePages };
  };
  const others = Array.from({ length: options.workers - 1 }, () => [client]);
  const { total, filePages } = machineMemory(model, [[server, client, evaluation], ...others]);
  const run = { total: total + options.statesBytes, filePages };
  const rounding = roundingMemoryOf(model, spec);
  return {
    server: larger(alone(server), { total: rounding.compute, filePages: 0 }),
    client: alone(client),
    evaluation: alone(evaluation),
    run: larger(run, { total: rounding.compute + rounding.main, filePages: 0 }),
  };
}

/** Minimum memory of the pods of each role. Hidden states that are cached in memory are not included. */
export function podMemory(
  model: FederatedModel,
  spec: FedBiOTJobSpec,
): { readonly server: MachineMemory; readonly client: MachineMemory } {
  const clients = Array.from({ length: spec.client.parallelClients }, () => [clientDemand(model, spec)]);
  const rounding = roundingMemoryOf(model, spec);
  const server = machineMemory(model, [[serverDemand(model, spec), evaluationDemand(model, spec)]]);
  return {
    server: larger(server, { total: rounding.compute + rounding.main, filePages: 0 }),
    client: machineMemory(model, clients),
  };
}

/** The one that needs more, without pages of files. */
const larger = (a: MachineMemory, b: MachineMemory): MachineMemory =>
  a.total - a.filePages < b.total - b.filePages ? b : a;

/** Bytes of the server's processes before its roles are loaded, while it rounds to 4 bits; 0 if it does not. */
export function roundingMemoryOf(
  model: FederatedModel,
  { emulator }: FedBiOTJobSpec,
): { main: number; compute: number } {
  if (emulator.weights !== 'Int4') return { main: 0, compute: 0 };
  const { main, passing, rounding } = roundingMemory(model.config);
  const { layerWork, ...layer } = calibrationPass(model, emulator.alignment.sequenceLength);
  const pass = passing + layerPass(model, layer, layerWork);
  const compute = PROGRAM_PAGES + PROCESS_BYTES + SESSION_BYTES + Math.max(pass, rounding);
  return { main: MAIN_BYTES + main, compute };
}

/**
 * Memory of a main process and its compute processes on one machine, counting weights that several sessions map once.
 * @param processes for each compute process the demands that share it; they work one after another
 */
function machineMemory(model: FederatedModel, processes: readonly (readonly Demand[])[]): MachineMemory {
  const demands = processes.flat();
  const sessions = demands.flatMap((demand) => sessionsOf(model, demand).loaded);
  const weights = sharedWeights(model, sessions);
  const total =
    PROGRAM_PAGES +
    MAIN_BYTES +
    processes.length * PROCESS_BYTES +
    sessions.length * SESSION_BYTES +
    weights.resident +
    packedWeightsOf(model, sessions) +
    demands.reduce((sum, { lora }) => sum + lora, 0) +
    processes.reduce((sum, shared) => sum + Math.max(...shared.map((demand) => workBytes(model, demand))), 0);
  return { total, filePages: weights.filePages };
}

/** Memory of an evaluation of only the full model: its main process and its compute process. */
export function scoringMemory(model: FederatedModel, scoring: Scoring): MachineMemory {
  return machineMemory(model, [[scoringDemand(model, scoring, ['teacher'])]]);
}

function processBytes(sessions: readonly Session[]): number {
  return PROCESS_BYTES + (sessions.length + 1) * SESSION_BYTES;
}

/** Weights in memory, in bytes. */
interface ResidentWeights {
  readonly resident: number;
  /** The part that is pages of files, without those of packed weights, which are resident as their copies. */
  readonly filePages: number;
}

/**
 * Weights of a process. Each session maps its weights separately, and widens half precision and packs 4 bits into its
 * own memory.
 */
function residentWeights(model: FederatedModel, sessions: readonly Session[]): ResidentWeights {
  const each = sessions.map((session) => sharedWeights(model, [session]));
  const sum = (of: keyof ResidentWeights) => each.reduce((total, weights) => total + weights[of], 0);
  return { resident: sum('resident'), filePages: sum('filePages') };
}

/** The same over all processes of a machine, where pages of a file are resident once, however often they are mapped. */
function sharedWeights(model: FederatedModel, sessions: readonly Session[]): ResidentWeights {
  const mapped = new Map<string, number>();
  const copied = new Set<string>();
  let own = 0;
  for (const session of sessions) {
    const weights = sessionWeights(model, session);
    // A session packs all of its weights or none.
    const isPacked = packedWeights(model, session) > 0 || weights.some(({ stored }) => stored === 'Int4');
    for (const { name, stored, ...bytes } of weights) {
      own += bytes.own;
      if (bytes.mapped > 0) mapped.set(name, bytes.mapped);
      if (isPacked && stored !== 'Int4') copied.add(name);
    }
  }
  const bytesOf = (names: readonly string[]) => names.reduce((sum, name) => sum + (mapped.get(name) ?? 0), 0);
  const names = [...mapped.keys()];
  return { resident: own + bytesOf(names), filePages: bytesOf(names.filter((name) => !copied.has(name))) };
}

function packedWeightsOf(model: FederatedModel, sessions: readonly Session[]): number {
  return sessions.reduce((sum, session) => sum + packedWeights(model, session), 0);
}

/** A session that sweeps replace. */
type SweptSession = Session & { readonly sweptStates: number };

/**
 * The sessions of a demand that stay loaded, and those that a large model replaces by sweeps. With a head, the last
 * layer stays with it.
 */
function sessionsOf(model: FederatedModel, { sessions }: Demand): { loaded: Session[]; swept: SweptSession[] } {
  const loaded: Session[] = [];
  const swept: SweptSession[] = [];
  for (const { sweptStates, ...session } of sessions) {
    if (sweptStates === undefined || !areLarge(session, weightsOfSession(model, session))) {
      loaded.push(session);
      continue;
    }
    const staying = session.head ? session.layers.slice(-1) : [];
    const layers = session.layers.filter((layer) => !staying.includes(layer));
    if (layers.length > 0) swept.push({ ...session, sweptStates, layers, head: false });
    if (session.head) loaded.push({ ...session, layers: staying });
  }
  return { loaded, swept };
}

/**
 * The most that a demand needs at a time: for the work of a session, or for a sweep with one layer's weights. The
 * states of a sweep stay until the work has read them.
 */
function workBytes(model: FederatedModel, demand: Demand): number {
  const { loaded, swept } = sessionsOf(model, demand);
  const working = loaded.map((session) => sessionWork(model, session));
  const sweeping = swept.map(({ layers, layerWork, ...session }) =>
    Math.max(...layers.map((layer) => layerPass(model, { ...session, layers: [layer] }, layerWork))),
  );
  return Math.max(0, ...working, ...sweeping) + Math.max(0, ...swept.map(({ sweptStates }) => sweptStates));
}

/**
 * A session's work, with the weights that it widens at each use. A training graph holds what its layers computed while
 * the head runs, and copies for both may exist at once. A graph without a gradient has freed it by then; measured.
 */
function sessionWork(model: FederatedModel, session: Session): number {
  const widened = widenedAtUse(model, session);
  const layers = session.layerWork + widened.layers;
  const head = session.headWork + widened.head;
  return session.trains ? layers + head : Math.max(layers, head);
}

/**
 * The most that loading and running one layer of a sweep needs. There are copies of its weights, of half precision in
 * float32, of 4 bits packed. Beside them there is first the largest weight that is widened as it is stored, read into
 * memory while its copy is made, and then the layer's work. Pages of the file are not counted: they may be dropped.
 */
function layerPass(model: FederatedModel, layer: WeightSelection, layerWork: number): number {
  const weights = sessionWeights(model, layer);
  const read = Math.max(0, ...weights.map(({ widened, bytes }) => (widened ? bytes : 0)));
  const copies = weights.reduce((sum, { own }) => sum + own, 0);
  return copies + Math.max(read, layerWork + widenedAtUse(model, layer).layers);
}
