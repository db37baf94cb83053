import { Compile } from 'typebox/compile';
import { RunEvent, StepEvent } from '../../crds/facts/events.ts';
import { RunReport } from '../../crds/facts/report.ts';

const reportCheck = Compile(RunReport);
const stepCheck = Compile(StepEvent);
const eventCheck = Compile(RunEvent);

/**
 * Checks the contents of a report.json, which is untrusted.
 * @returns the report, or its first problem
 */
export function checkReport(value: unknown): RunReport | { problem: string } {
  return reportCheck.Check(value) ? value : { problem: firstProblem(reportCheck.Errors(value)) };
}

/** The event in a line of metrics.jsonl; null if it is not one. */
export function eventOf(value: unknown): RunEvent | null {
  return eventCheck.Check(value) ? value : null;
}

/** The step in a line of metrics.jsonl, or its first problem. */
export function checkStep(value: unknown): StepEvent | { problem: string } {
  return stepCheck.Check(value) ? value : { problem: firstProblem(stepCheck.Errors(value)) };
}

function firstProblem(errors: readonly { instancePath: string; message: string }[]): string {
  const first = errors[0];
  return first === undefined ? 'not as expected' : `${first.instancePath || 'the whole'} ${first.message}`;
}
