import { createReadStream, existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StepEvent } from '../../crds/facts/events.ts';
import type { RunReport } from '../../crds/facts/report.ts';
import { UserError } from '../../crds/facts/user-error.ts';
import { reasonOf, unable } from '../files/system-failure.ts';
import { renderReport } from './html.ts';
import { LossCurves } from './loss-curves.ts';
import { checkReport, checkStep } from './report-schema.ts';

const reportFiles = { json: 'report.json', html: 'report.html', metrics: 'metrics.jsonl' } as const;

/** Writes report.json into a run's folder, atomically. */
export async function writeReportJson(folder: string, report: RunReport): Promise<void> {
  await replaceFile(join(folder, reportFiles.json), `${JSON.stringify(report, null, 2)}\n`);
}

/**
 * Renders report.html from the report and the steps in the folder's metrics.jsonl.
 * @returns its path, and the number of steps that are missing because their lines are damaged; null if there is no
 * metrics.jsonl
 */
export async function writeReportHtml(
  folder: string,
  report: RunReport,
  version: string,
): Promise<{ path: string; damagedSteps: number | null }> {
  const path = join(folder, reportFiles.html);
  const { curves, damaged } = existsSync(join(folder, reportFiles.metrics))
    ? await readLossCurves(folder)
    : { curves: new LossCurves(), damaged: null };
  await replaceFile(path, renderReport(report, curves, version));
  return { path, damagedSteps: damaged };
}

/**
 * Reads a run's report.json.
 * @throws UserError if it is missing or not a report
 */
export async function readReportJson(folder: string): Promise<RunReport> {
  const path = join(folder, reportFiles.json);
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw unable(
      `cannot read ${path}`,
      cause,
      'Give a folder written by `fedbiot run --out`. A run writes report.json with the first checkpoint after a finished round.',
    );
  });
  const report = checkReport(parseJson(text, path));
  if ('problem' in report) {
    throw new UserError(`${path} is not a run’s report: ${report.problem}`, {
      hint: 'Resume the run (`fedbiot run … --resume`): it writes the file again.',
    });
  }
  return report;
}

/**
 * Reads the losses of all steps in a run's metrics.jsonl, and counts damaged lines. Skips an incomplete last line,
 * which the run may still be writing.
 * @throws UserError if the file cannot be read
 */
export async function readLossCurves(folder: string): Promise<{ curves: LossCurves; damaged: number }> {
  const path = join(folder, reportFiles.metrics);
  const curves = new LossCurves();
  let damaged = 0;
  // Every step line starts with this prefix. Other lines are not parsed.
  const add = (line: string) => {
    if (!line.startsWith('{"event":"step"')) return;
    const step = stepIn(line);
    if (step === null) damaged++;
    else curves.add(step);
  };
  try {
    let rest = '';
    for await (const chunk of createReadStream(path, 'utf8')) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(add);
    }
  } catch (cause) {
    throw unable(`cannot read ${path}`, cause, 'Give a folder written by `fedbiot run --out`.');
  }
  return { curves, damaged };
}

function stepIn(line: string): StepEvent | null {
  try {
    const step = checkStep(JSON.parse(line));
    return 'problem' in step ? null : step;
  } catch {
    return null;
  }
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${where} is not JSON: ${reasonOf(cause)}`, { cause });
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  try {
    await writeFile(partial, text, { flush: true });
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true });
    throw unable(`cannot write ${path}`, cause);
  }
}
