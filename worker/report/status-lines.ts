import { styleText } from 'node:util';
import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { RunEvent } from '../../crds/facts/events.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import type { Score } from '../../crds/facts/score.ts';
import type { ProgressState } from './display-state.ts';
import { remainingSeconds } from './eta.ts';
import { printable } from '../../crds/facts/printable.ts';
import { formatClock, formatCount, formatDuration, formatLoss, formatPercent, formatRate } from './format.ts';

export type Style = Parameters<typeof styleText>[0];

/** A segment of a status line. If the line is too long, the segments with the highest `rank` are dropped first. */
export interface Segment {
  readonly text: string;
  readonly rank: number;
  readonly style?: Style;
}

const GAP = '  ';
const BAR_WIDTH = 12;
const models = { base: 'base', adapEmu: 'AdapEmu', adapFu: 'AdapFu' } as const;

/** The status at `now` seconds as up to two lines, each at most `columns` wide. */
export function statusLines(state: ProgressState, now: number, columns: number, color: boolean): string[] {
  return [firstLine(state, now), secondLine(state, now)]
    .map((line) => fit(line, columns, color))
    .filter((line) => line !== '');
}

/** The same in one plain line, for a log. */
export function statusText(state: ProgressState, now: number): string {
  const loss = currentLoss(state);
  const parts = [
    position(state),
    phaseText(state),
    sweepText(state),
    ...rates(state),
    loss === null ? '' : `loss ${formatLoss(loss)}`,
    eta(state, now),
  ];
  return parts.filter((part) => part !== '').join(GAP);
}

/** The permanent line of an event, such as a finished round or a warning; null for events without one. */
export function eventLine(event: RunEvent, rounds: number): string | null {
  switch (event.event) {
    case 'run': {
      const resumed = event.resumedFromRound === null ? '' : `, resumed in round ${event.resumedFromRound}`;
      return `${printable(event.job)}: ${event.method}, ${event.rounds} rounds, ${event.clients} clients${resumed}`;
    }
    case 'round':
      return `round ${event.round}/${rounds}${GAP}${roundText(event)}`;
    case 'evaluation':
      return `round ${event.round}/${rounds}${GAP}${evaluationText(event)}`;
    case 'warning':
      return `warning: ${printable(event.message)}`;
    // The command prints how a run ended.
    default:
      return null;
  }
}

/** "accuracy base 12.0 % AdapEmu 34.5 % AdapFu 56.1 % loss base 1.548 …": without accuracy if the task has none. */
function evaluationText(evaluation: Evaluation): string {
  const of = (show: (score: Score) => string) =>
    (['base', 'adapEmu', 'adapFu'] as const).map((key) => `${models[key]} ${show(evaluation[key])}`).join(GAP);
  const loss = `loss ${of((score) => formatLoss(score.loss))}`;
  return evaluation.adapFu.accuracy === null
    ? loss
    : `accuracy ${of((score) => formatPercent(score.accuracy))}${GAP}${loss}`;
}

function roundText({ clients, alignmentLoss, localLoss, seconds }: RoundReport): string {
  const lost = [
    ...(clients.dropped.length > 0 ? [`${clients.dropped.length} dropped`] : []),
    ...(clients.refused.length > 0 ? [`${clients.refused.length} refused`] : []),
  ];
  const reported = [`${clients.reported.length} of ${clients.selected.length} clients reported`, ...lost].join(', ');
  const losses = `${alignmentLoss === null ? '' : `alignment loss ${formatLoss(alignmentLoss)}${GAP}`}local loss ${formatLoss(localLoss)}`;
  const total = Object.values(seconds).reduce((a, b) => a + b, 0);
  return [reported, losses, formatDuration(total)].join(GAP);
}

function firstLine(state: ProgressState, now: number): Segment[] {
  const [steps = '', tokens = ''] = rates(state);
  return [
    { text: position(state), rank: 0, style: 'bold' },
    { text: bar(state), rank: 5, style: 'cyan' },
    { text: phaseText(state), rank: 1 },
    { text: sweepText(state), rank: 2 },
    { text: steps, rank: 3 },
    { text: tokens, rank: 4 },
    { text: eta(state, now), rank: 2, style: 'bold' },
  ];
}

function secondLine(state: ProgressState, now: number): Segment[] {
  const { alignmentLoss, localLoss, evaluation } = state;
  const metric = evaluation?.adapFu.accuracy === null ? 'loss' : 'accuracy';
  const score = (key: keyof typeof models) =>
    evaluation === null
      ? ''
      : `${models[key]} ${metric === 'loss' ? formatLoss(evaluation[key].loss) : formatPercent(evaluation[key].accuracy)}`;
  return [
    { text: alignmentLoss === null ? '' : `align ${formatLoss(alignmentLoss)}`, rank: 1, style: 'green' },
    { text: localLoss === null ? '' : `local ${formatLoss(localLoss)}`, rank: 0, style: 'magenta' },
    { text: evaluation === null ? '' : `${metric}:`, rank: 3, style: 'dim' },
    { text: score('base'), rank: 5, style: 'dim' },
    { text: score('adapEmu'), rank: 4, style: 'blue' },
    { text: score('adapFu'), rank: 2, style: 'yellow' },
    { text: `elapsed ${formatClock(now - state.began)}`, rank: 6, style: 'dim' },
  ];
}

function position({ round, rounds, measured, quantizing }: ProgressState): string {
  if (round > 0) return `round ${round}/${rounds}`;
  if (quantizing !== null) return `rounding to 4 bits: matrix ${quantizing.done}/${quantizing.total}`;
  return measured === null ? 'preparing' : `importance of layers ${formatPercent(measured)}`;
}

function phaseText({ phase }: ProgressState): string {
  if (phase === null) return '';
  const done = formatCount(Math.floor(phase.done));
  if (phase.total !== null) return `${phase.name} ${done}/${formatCount(phase.total)}`;
  return phase.done > 0 ? `${phase.name} ${done}` : phase.name;
}

/** How much of the states is done that further steps wait for, as a mean over the clients that wait. */
function sweepText({ phase }: ProgressState): string {
  const sweeps = phase?.sweeps ?? [];
  if (sweeps.length === 0) return '';
  return `hidden states ${formatPercent(sweeps.reduce((sum, { done }) => sum + done, 0) / sweeps.length)}`;
}

/**
 * Steps and tokens per second since the start of the phase until its last step, because parallel clients may finish
 * steps in bursts.
 */
function rates({ phase }: ProgressState): string[] {
  if (phase === null || phase.seen.steps === 0) return [];
  const seconds = phase.seen.last - phase.began;
  if (seconds <= 0) return [];
  return [`${formatRate(phase.seen.steps / seconds)} steps/s`, `${formatRate(phase.seen.tokens / seconds)} tokens/s`];
}

function currentLoss({ phase, alignmentLoss, localLoss }: ProgressState): number | null {
  return phase?.name === 'align' ? alignmentLoss : phase?.name === 'local' ? localLoss : null;
}

function eta(state: ProgressState, now: number): string {
  const seconds = remainingSeconds(state, now);
  return seconds === null ? '' : `ETA ${formatClock(seconds)}`;
}

function bar({ phase }: ProgressState): string {
  if (phase === null || phase.total === null || phase.total === 0) return '';
  const filled = Math.round(BAR_WIDTH * Math.min(1, phase.done / phase.total));
  return '━'.repeat(filled) + '┈'.repeat(BAR_WIDTH - filled);
}

/**
 * Joins the segments, dropping those with the highest rank until the line fits. A single segment that is still too long
 * is truncated.
 */
export function fit(segments: readonly Segment[], columns: number, color: boolean): string {
  let kept = segments.filter(({ text }) => text !== '');
  const width = () => kept.reduce((sum, { text }) => sum + text.length, GAP.length * Math.max(0, kept.length - 1));
  while (kept.length > 1 && width() > columns) {
    const worst = Math.max(...kept.map(({ rank }) => rank));
    kept = kept.filter(({ rank }) => rank !== worst);
  }
  const paint = (text: string, style: Style | undefined) =>
    color && style !== undefined ? styleText(style, text, { validateStream: false }) : text;
  if (width() > columns) return paint(`${kept[0]?.text.slice(0, Math.max(0, columns - 1))}…`, kept[0]?.style);
  return kept.map(({ text, style }) => paint(text, style)).join(GAP);
}
