import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import { eventOf } from './report-schema.ts';

const NEWLINE = 0x0a;

export interface KnownRounds {
  /** Bytes of metrics.jsonl when the checkpoint was made. */
  readonly bytes: number;
  /** Rounds whose `round` event stands before that. */
  readonly rounds: number;
  /** Rounds from elsewhere, to stand in for those whose line is lost. */
  readonly spare: readonly RoundReport[];
}

/**
 * Makes metrics.jsonl one that a run can go on from, if its beginning is not whole: what can be read of it is kept,
 * lost rounds come from the report, and a line in it says so. It gets the length that the checkpoint knows. The damaged
 * file is set aside.
 * @returns what was lost, in words; null where nothing was
 */
export function repairMetrics(path: string, { bytes, rounds, spare }: KnownRounds): string | null {
  const found = existsSync(path) ? readFileSync(path) : null;
  const { events, damaged } = readLines((found ?? Buffer.alloc(0)).subarray(0, bytes));
  const told = new Set(events.flatMap(({ event }) => (event.event === 'round' ? [event.round] : [])));
  const missing = Array.from({ length: rounds }, (_, i) => i + 1).filter((round) => !told.has(round));
  const taken = spare.filter(({ round }) => missing.includes(round));
  const isWhole =
    damaged === 0 && found !== null && found.length >= bytes && found[bytes - 1] === NEWLINE && taken.length === 0;
  if (bytes === 0 || isWhole) return null;

  const lost = missing.filter((round) => !taken.some((one) => one.round === round));
  const state =
    found === null ? 'missing' : found.length < bytes ? `cut to ${found.length} of ${bytes} bytes` : 'damaged';
  const aside = found === null ? '' : `; it is kept as ${unused(`${path}.damaged`)}`;
  const message =
    `${path} was ${state}: the lines that could be read are kept` +
    (taken.length > 0 ? `, round${taken.length > 1 ? 's' : ''} ${listed(taken)} from report.json` : '') +
    (lost.length > 0 ? `; the report lacks rounds ${lost.join(', ')}` : '') +
    aside;
  const lines = taken.reduce(
    withRound,
    events.map(({ event, line }) => ({ event, line })),
  );
  const text = Buffer.concat(
    fitted(
      lines.map(({ line }) => line),
      message,
      bytes,
    ),
  );
  if (found !== null) renameSync(path, unused(`${path}.damaged`));
  writeFileSync(`${path}.partial`, text, { flush: true });
  renameSync(`${path}.partial`, path);
  return message;
}

interface Line {
  readonly event: RunEvent;
  /** With its newline. */
  readonly line: Buffer;
}

/** The events in bytes of metrics.jsonl, and how many of its lines are none. */
export function readLines(bytes: Buffer): { events: Line[]; damaged: number } {
  const events: Line[] = [];
  let damaged = 0;
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(NEWLINE, start);
    const end = found < 0 ? bytes.length : found;
    const event = parsed(bytes.toString('utf8', start, end));
    if (event === null) damaged++;
    else events.push({ event, line: Buffer.concat([bytes.subarray(start, end), Buffer.of(NEWLINE)]) });
    start = end + 1;
  }
  return { events, damaged };
}

function parsed(text: string): RunEvent | null {
  try {
    return eventOf(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Puts a round's line before all of later rounds. */
function withRound(lines: readonly Line[], round: RoundReport): Line[] {
  const event: RunEvent = { event: 'round', ...round };
  const at = lines.findIndex(({ event: other }) => 'round' in other && other.round > round.round);
  return (at < 0 ? lines.length : at) === lines.length
    ? [...lines, lineOf(event)]
    : lines.toSpliced(at, 0, lineOf(event));
}

const lineOf = (event: RunEvent): Line => ({ event, line: Buffer.from(`${JSON.stringify(event)}\n`) });

/**
 * Lines of `bytes` bytes in all: a warning with the message, if there is room, and spaces at its end. Lines that are
 * too many are left out.
 */
function fitted(lines: readonly Buffer[], message: string, bytes: number): Buffer[] {
  const sizeOf = (of: readonly Buffer[]) => of.reduce((sum, { length }) => sum + length, 0);
  const warning = lineOf({ event: 'warning', message }).line;
  const told = sizeOf(lines) + warning.length <= bytes ? [...lines, warning] : [...lines];
  while (sizeOf(told) > bytes) told.pop();
  const last = told.pop() ?? Buffer.of(NEWLINE);
  return [...told, last.subarray(0, -1), Buffer.alloc(bytes - sizeOf(told) - last.length, ' '), Buffer.of(NEWLINE)];
}

/** `path`, or the first of path-2, path-3, … that is free. */
function unused(path: string): string {
  let name = path;
  for (let i = 2; existsSync(name); i++) name = `${path}-${i}`;
  return name;
}

const listed = (rounds: readonly RoundReport[]) => rounds.map(({ round }) => round).join(', ');
