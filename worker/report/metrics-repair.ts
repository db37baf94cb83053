import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import { eventOf } from './report-schema.ts';

const NEWLINE = 0x0a;

export interface KnownRounds {
  /** Bytes of metrics.jsonl when the checkpoint was made. */
  readonly bytes: number;
  /** Rounds whose `round` event is within these bytes. */
  readonly rounds: number;
  /** Rounds from report.json, to replace lost lines. */
  readonly spare: readonly RoundReport[];
}

/**
 * Repairs a metrics.jsonl whose part before the checkpoint is damaged, so that a run can resume. Readable lines are
 * kept, lost rounds are taken from the report, and a warning event describes the repair. The file gets the length
 * recorded in the checkpoint. The damaged file is renamed.
 * @returns a description of what was lost; null if nothing was
 */
export function repairMetrics(path: string, { bytes, rounds, spare }: KnownRounds): string | null {
  const found = existsSync(path) ? readFileSync(path) : null;
  const { events: readable, damaged } = readLines((found ?? Buffer.alloc(0)).subarray(0, bytes));
  const events = readable.filter(isCredible(readable, rounds, spare));
  const reported = new Set(roundsIn(events));
  const missing = Array.from({ length: rounds }, (_, i) => i + 1).filter((round) => !reported.has(round));
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

const roundsIn = (lines: readonly Line[]) =>
  lines.flatMap(({ event }) => (event.event === 'round' ? [event.round] : []));

/**
 * Damage may change the number of a round in a readable line. A round that occurs more than once is taken from the
 * report, and one that has not been is left out.
 */
function isCredible(lines: readonly Line[], rounds: number, spare: readonly RoundReport[]): (line: Line) => boolean {
  const seen = new Set<number>();
  const repeated = new Set(roundsIn(lines).filter((round) => seen.size === seen.add(round).size));
  return ({ event }) =>
    event.event !== 'round' ||
    (event.round >= 1 &&
      event.round <= rounds &&
      !(repeated.has(event.round) && spare.some(({ round }) => round === event.round)));
}

interface Line {
  readonly event: RunEvent;
  /** Includes the newline. */
  readonly line: Buffer;
}

/** Parses bytes of metrics.jsonl into events, and counts damaged lines. */
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

/** Inserts a round's line before all lines of later rounds. */
function withRound(lines: readonly Line[], round: RoundReport): Line[] {
  const event: RunEvent = { event: 'round', ...round };
  const at = lines.findIndex(({ event: other }) => 'round' in other && other.round > round.round);
  return (at < 0 ? lines.length : at) === lines.length
    ? [...lines, lineOf(event)]
    : lines.toSpliced(at, 0, lineOf(event));
}

const lineOf = (event: RunEvent): Line => ({ event, line: Buffer.from(`${JSON.stringify(event)}\n`) });

/**
 * Fits lines into exactly `bytes` bytes: appends a warning with the message, if there is room, and pads the last line
 * with spaces. Lines that do not fit are dropped.
 */
function fitted(lines: readonly Buffer[], message: string, bytes: number): Buffer[] {
  const sizeOf = (of: readonly Buffer[]) => of.reduce((sum, { length }) => sum + length, 0);
  const warning = lineOf({ event: 'warning', message }).line;
  const kept = sizeOf(lines) + warning.length <= bytes ? [...lines, warning] : [...lines];
  while (sizeOf(kept) > bytes) kept.pop();
  const last = kept.pop() ?? Buffer.of(NEWLINE);
  return [...kept, last.subarray(0, -1), Buffer.alloc(bytes - sizeOf(kept) - last.length, ' '), Buffer.of(NEWLINE)];
}

/** `path`, or the first of path-2, path-3, … that does not exist. */
function unused(path: string): string {
  let name = path;
  for (let i = 2; existsSync(name); i++) name = `${path}-${i}`;
  return name;
}

const listed = (rounds: readonly RoundReport[]) => rounds.map(({ round }) => round).join(', ');
