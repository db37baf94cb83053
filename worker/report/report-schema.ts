import { Compile } from 'typebox/compile';
import { RunEvent, StepEvent } from '../../crds/facts/events.ts';
import { RunReport } from '../../crds/facts/report.ts';

const reportCheck = Compile(RunReport);
const stepCheck = Compile(StepEvent);
const eventCheck = Compile(RunEvent);

/**
 * The value as the contents of a report.json, or what is wrong with it. Both come from disk, where anything may have
 * been written.
 */
export function checkReport(value: unknown): RunReport | { problem: string } {
  return reportCheck.Check(value) ? value : { problem: firstProblem(reportCheck.Errors(value)) };
}

/** The value of a line of metrics.jsonl; null where it is none. */
export function eventOf(value: unknown): RunEvent | null {
  return eventCheck.Check(value) ? value : null;
}

/** The same for one step line of metrics.jsonl. */
export function checkStep(value: unknown): StepEvent | { problem: string } {
  return stepCheck.Check(value) ? value : { problem: firstProblem(stepCheck.Errors(value)) };
}

function firstProblem(errors: readonly { instancePath: string; message: string }[]): string {
  const first = errors[0];
  return first === undefined ? 'not as expected' : `${first.instancePath || 'the whole'} ${first.message}`;
}
