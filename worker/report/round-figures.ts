import type { RoundReport } from '../../crds/facts/round.ts';
import type { Figure } from './chart.ts';
import type { Markup } from './escape.ts';
import { axis, ink, legend, renderChart } from './chart.ts';
import { formatBytes, formatCount } from './format.ts';

const MAX_BARS = 100;

/** The outcomes of the clients of each round. */
export function clientsFigure(rounds: readonly RoundReport[]): Figure | null {
  if (rounds.length === 0) return null;
  const selected = rounds.reduce((sum, { clients }) => sum + clients.selected.length, 0);
  const lost = rounds.reduce((sum, { clients }) => sum + clients.dropped.length + clients.refused.length, 0);
  const svg = stackedBars(rounds, { type: 'value', minInterval: 1, ...axis('Clients', 'y') }, [
    { name: 'Reported', color: ink.blue, of: ({ clients }) => clients.reported.length },
    { name: 'Dropped', color: ink.orange, of: ({ clients }) => clients.dropped.length },
    { name: 'Refused', color: ink.purple, of: ({ clients }) => clients.refused.length },
  ]);
  const share = selected === 0 ? 0 : (100 * lost) / selected;
  const caption = `The height of a bar is the number of selected clients. ${formatCount(lost)} of ${formatCount(selected)} updates (${share.toFixed(1)} %) were lost.`;
  return { title: 'Clients by round', caption, svg };
}

/** Bytes between server and clients. */
export function bytesFigure(rounds: readonly RoundReport[]): Figure | null {
  if (rounds.length === 0) return null;
  const total = (direction: 'down' | 'up') => rounds.reduce((sum, { bytes }) => sum + bytes[direction], 0);
  const svg = stackedBars(rounds, { type: 'value', ...axis('MiB', 'y') }, [
    { name: 'Down', color: ink.blue, of: ({ bytes }) => bytes.down / 2 ** 20 },
    { name: 'Up', color: ink.orange, of: ({ bytes }) => bytes.up / 2 ** 20 },
  ]);
  const caption = `Between the server and all clients: ${formatBytes(total('down'))} down to the clients and ${formatBytes(total('up'))} up in total.`;
  return { title: 'Bytes moved by round', caption, svg };
}

/** The duration of each phase of each round. */
export function timeFigure(rounds: readonly RoundReport[]): Figure | null {
  if (rounds.length === 0) return null;
  const svg = stackedBars(rounds, { type: 'value', ...axis('Seconds', 'y') }, [
    { name: 'Align', color: ink.green, of: ({ seconds }) => seconds.align },
    { name: 'Local', color: ink.purple, of: ({ seconds }) => seconds.local },
    { name: 'Aggregate', color: ink.orange, of: ({ seconds }) => seconds.aggregate },
    { name: 'Evaluate', color: ink.blue, of: ({ seconds }) => seconds.evaluate },
  ]);
  return {
    title: 'Time by phase',
    caption: 'Wall-clock time. Round 1 includes the alignment before the first round.',
    svg,
  };
}

/** Stacked bars by round. If there are too many rounds for separate bars, a bar is the mean of adjacent rounds. */
function stackedBars(
  rounds: readonly RoundReport[],
  yAxis: object,
  parts: readonly { name: string; color: string; of: (round: RoundReport) => number }[],
): Markup {
  const width = Math.ceil(rounds.length / MAX_BARS);
  const bars = Array.from({ length: Math.ceil(rounds.length / width) }, (_, i) =>
    rounds.slice(i * width, (i + 1) * width),
  );
  const xName = width === 1 ? 'Round' : `Round (a bar: mean of ${width})`;
  return renderChart(
    {
      xAxis: { type: 'category', data: bars.map((bar) => String(bar[0]?.round)), ...axis(xName, 'x') },
      yAxis,
      legend: { ...legend(parts.map(({ name }) => name)), icon: 'rect', itemWidth: 12 },
      series: parts.map(({ name, color, of }) => ({
        name,
        type: 'bar',
        stack: 'all',
        silent: true,
        color,
        barCategoryGap: '25%',
        barMaxWidth: 36,
        data: bars.map((bar) => bar.reduce((sum, round) => sum + of(round), 0) / bar.length),
      })),
    },
    `By round: ${parts.map(({ name }) => name).join(', ')}`,
  );
}
