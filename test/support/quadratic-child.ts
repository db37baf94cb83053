import { writeSync } from 'node:fs';
import { settings } from './quadratic-federation.ts';
import { digest, runQuadratic } from './quadratic-run.ts';

/** The job of test/integration/federation-sigkill.test.ts. */
export const job = settings(
  { rounds: 6, clients: 5, clientsPerRound: 4, dropoutRate: 0.2, quorum: 2, local: { steps: 4 } },
  { everyRounds: 2, keep: 2 },
);

// node quadratic-child.ts FOLDER: starts or continues the run in FOLDER. Prints a dot at each event and local step,
// then the digest.
if (import.meta.main) {
  const dot = () => void writeSync(1, '.');
  const outcome = await runQuadratic(process.argv[2]!, job, { workers: 2, onEvent: dot, onLocalStep: dot });
  writeSync(1, digest(outcome));
}
