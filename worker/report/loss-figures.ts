import type { Evaluation } from '../../crds/facts/evaluation.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import type { Markup } from './escape.ts';
import type { Curve, CurvePoint } from './loss-curves.ts';
import type { Figure } from './chart.ts';
import { axis, ink, legend, renderChart, roundAxis } from './chart.ts';

/** The style of the three models in every figure. They differ by colour, mark and dash. */
const models = [
  { key: 'base', name: 'Base model', color: ink.base, symbol: 'circle', dash: 'dashed' },
  { key: 'adapEmu', name: 'AdapEmu', color: ink.blue, symbol: 'rect', dash: 'solid' },
  { key: 'adapFu', name: 'AdapFu', color: ink.orange, symbol: 'circle', dash: 'solid' },
] as const;

const MODELS_CAPTION =
  'Base: the full model without an adapter. AdapEmu: emulator and adapter, as on the clients. AdapFu: full model and adapter.';

/** Accuracy of the three models by round; null if the task has no accuracy or nothing was evaluated. */
export function accuracyFigure(rounds: readonly RoundReport[]): Figure | null {
  const svg = scoresChart(rounds, 'Accuracy (%)', ({ accuracy }) => (accuracy === null ? null : 100 * accuracy));
  return svg && { title: 'Accuracy by round', caption: MODELS_CAPTION, svg };
}

/** Evaluation loss of the three models by round; null if nothing was evaluated. */
export function lossFigure(rounds: readonly RoundReport[]): Figure | null {
  const svg = scoresChart(rounds, 'Loss (nats per token)', ({ loss }) => loss);
  return (
    svg && { title: 'Evaluation loss by round', caption: 'Mean negative log-likelihood of all labelled tokens.', svg }
  );
}

function scoresChart(
  rounds: readonly RoundReport[],
  yName: string,
  of: (score: Evaluation[keyof Evaluation]) => number | null,
): Markup | null {
  const evaluated = rounds.flatMap(({ round, evaluation }) =>
    evaluation === undefined ? [] : [{ round, evaluation }],
  );
  if (!evaluated.some(({ evaluation }) => of(evaluation.adapFu) !== null)) return null;
  const series = models.map(({ key, name, color, symbol, dash }) => ({
    name,
    type: 'line',
    silent: true,
    color,
    symbol,
    symbolSize: evaluated.length > 60 ? 3 : 7,
    // The base model never changes, so its line has no marks.
    itemStyle: { color, opacity: key === 'base' && evaluated.length > 1 ? 0 : 1 },
    lineStyle: { width: 2, type: dash, color },
    data: evaluated.map(({ round, evaluation }) => [round, of(evaluation[key])]),
  }));
  return renderChart(
    {
      xAxis: roundAxis(rounds.at(-1)?.round ?? 1),
      yAxis: { type: 'value', scale: true, ...axis(yName, 'y') },
      legend: legend(models.map(({ name }) => name)),
      series,
    },
    `${yName} of base model, AdapEmu and AdapFu over ${evaluated.length} evaluations`,
  );
}

/** Loss of every optimizer step of a phase, with the range over clients; null if the phase never ran. */
export function stepLossFigure(phase: 'align' | 'local', curve: Curve): Figure | null {
  if (curve.points.length === 0) return null;
  const [title, what, color] =
    phase === 'align'
      ? ([
          'Alignment loss by step',
          'Server: emulator compared with the full model on public data.',
          ink.green,
        ] as const)
      : ([
          'Local loss by step',
          'Clients: mean over the clients that trained; the band shows the range.',
          ink.purple,
        ] as const);
  const boundaries = curve.roundStarts.length > 0 && curve.roundStarts.length <= 40;
  const lowest = curve.points.reduce((low, point) => Math.min(low, point.low), Infinity);
  const highest = curve.points.reduce((high, point) => Math.max(high, point.high), -Infinity);
  // If a loss falls by an order of magnitude, differences at its end are only visible on a logarithmic axis.
  const type = lowest > 0 && highest / lowest > 10 ? 'log' : 'value';
  const logBase = highest / lowest > 1000 ? 10 : 2;
  const svg = renderChart(
    {
      xAxis: {
        type: 'value',
        min: 0,
        max: Math.ceil(curve.points.at(-1)?.x ?? 1),
        ...axis(phase === 'align' ? 'Alignment step' : 'Local step', 'x'),
      },
      yAxis: { type, logBase, scale: true, ...axis(type === 'log' ? 'Loss (log scale)' : 'Loss', 'y') },
      series: [
        rangeBand(curve.points, color),
        {
          type: 'line',
          silent: true,
          showSymbol: curve.points.length === 1,
          color,
          lineStyle: { width: 1.5, color },
          data: curve.points.map(({ x, mean }) => [x, mean]),
          markLine: {
            silent: true,
            symbol: 'none',
            label: { show: false },
            lineStyle: { color: ink.muted, type: 'dotted', opacity: 0.6 },
            data: boundaries ? curve.roundStarts.map((xAxis) => ({ xAxis })) : [],
          },
        },
      ],
      grid: { left: 64, right: 20, top: 16, bottom: 46 },
    },
    `${title}, ${curve.points.length} points`,
  );
  return { title, caption: boundaries ? `${what} Dotted lines mark the start of a round.` : what, svg };
}

/** The area between `low` and `high`, as one polygon. */
function rangeBand(points: readonly CurvePoint[], color: string) {
  return {
    type: 'custom',
    silent: true,
    clip: true,
    // All bounds are data points, so that the axis includes them. The polygon is drawn once, with the first point.
    data: points.flatMap(({ x, low, high }) => [
      [x, low],
      [x, high],
    ]),
    renderItem: (item: { dataIndex: number }, api: { coord(point: readonly number[]): number[] }) =>
      item.dataIndex > 0
        ? null
        : {
            type: 'polygon',
            shape: {
              points: [
                ...points.map(({ x, high }) => api.coord([x, high])),
                ...points.toReversed().map(({ x, low }) => api.coord([x, low])),
              ],
            },
            style: { fill: color, opacity: 0.22 },
          },
  };
}

/** Mean alignment and local loss of each round. */
export function roundLossFigure(rounds: readonly RoundReport[]): Figure | null {
  if (rounds.length === 0) return null;
  const line = (name: string, color: string, symbol: string, of: (round: RoundReport) => number | null) => ({
    name,
    type: 'line',
    silent: true,
    color,
    symbol,
    symbolSize: rounds.length > 60 ? 3 : 7,
    itemStyle: { color },
    lineStyle: { width: 2, color },
    data: rounds.map((round) => [round.round, of(round)]),
  });
  const series = [
    ...(rounds.some(({ alignmentLoss }) => alignmentLoss !== null)
      ? [line('Alignment', ink.green, 'triangle', ({ alignmentLoss }) => alignmentLoss)]
      : []),
    line('Local', ink.purple, 'diamond', ({ localLoss }) => localLoss),
  ];
  const svg = renderChart(
    {
      xAxis: roundAxis(rounds.at(-1)?.round ?? 1),
      yAxis: { type: 'value', scale: true, ...axis('Mean loss', 'y') },
      legend: legend(series.map(({ name }) => name)),
      series,
    },
    'Mean alignment and local loss of each round',
  );
  return {
    title: 'Training loss by round',
    caption:
      'Mean over the round’s steps. The local loss is averaged over the clients that reported, weighted by samples.',
    svg,
  };
}
