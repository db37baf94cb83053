import { join } from 'node:path';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import { settings } from './quadratic-federation.ts';
import { runQuadratic } from './quadratic-run.ts';
import type { RunOptions } from './quadratic-run.ts';

let runs = 0;

/** A run in a temporary folder, with its events and the reports of its rounds. */
export async function run(root: string, job = settings(), options: RunOptions = {}) {
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent) => {
    events.push(event);
    options.onEvent?.(event);
  };
  const outcome = await runQuadratic(join(root, `run-${runs++}`), job, { ...options, onEvent });
  const reports: RoundReport[] = events.filter((event) => event.event === 'round');
  return { ...outcome, events, reports };
}
