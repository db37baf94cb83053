import type { RunReport } from '../../crds/facts/report.ts';
import type { RoundReport } from '../../crds/facts/round.ts';
import type { Score } from '../../crds/facts/score.ts';
import type { Content } from './escape.ts';
import type { Figure } from './chart.ts';
import type { LossCurves } from './loss-curves.ts';
import { html, Markup } from './escape.ts';
import { formatBytes, formatCount, formatDuration, formatIndices, formatLoss, formatPercent } from './format.ts';
import { accuracyFigure, lossFigure, roundLossFigure, stepLossFigure } from './loss-figures.ts';
import { bytesFigure, clientsFigure, timeFigure } from './round-figures.ts';
import { partitionTable } from './partition-table.ts';
import { costTables } from './cost-tables.ts';
import { style } from './style.ts';

/** A curve with more points is binned: more points than pixels would only make the file larger. */
const CURVE_POINTS = 500;

/**
 * report.html: one self-contained page (no network, no script) with the run's scores, plan, figures and tables.
 * `curves` contains the losses of steps from metrics.jsonl; `version` is fedbiot's version.
 */
export function renderReport(report: RunReport, curves: LossCurves, version: string): string {
  const figures = [
    accuracyFigure(report.rounds),
    lossFigure(report.rounds),
    stepLossFigure('align', curves.curve('align', CURVE_POINTS)),
    stepLossFigure('local', curves.curve('local', CURVE_POINTS)),
    roundLossFigure(report.rounds),
    clientsFigure(report.rounds),
    bytesFigure(report.rounds),
    timeFigure(report.rounds),
  ].filter((figure) => figure !== null);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${report.job} – FedBiOT run report</title>
<style>${new Markup(style)}</style>
</head>
<body>
<header>
<p>FedBiOT run report</p>
<h1>${report.job}</h1>
<p>${report.method} · seed ${report.seed} · ${plural(report.rounds.length, 'round')}${report.partition.length === 0 ? '' : ` · ${plural(report.partition.length, 'client')}`}${report.date === undefined ? '' : ` · chat template date ${report.date}`}</p>
</header>
<section class="summary">
${[scores(report), facts(report)]}
</section>
${layers(report)}
${report.cost === null ? '' : costTables(report.cost)}
<h2>Figures</h2>
${figures.length === 0 ? html`<p class="note">No round has finished yet.</p>` : html`<div class="figures">${figures.map(figure)}</div>`}
${[...(report.partition.length === 0 ? [] : [partitionTable(report.partition)]), roundsTable(report.rounds)]}
<footer>Written by fedbiot ${version} from report.json and metrics.jsonl of the run.</footer>
</body>
</html>
`;
  return page.source;
}

function scores({ final }: RunReport): Markup {
  if (final === null) return html`<div><h2>Final scores</h2><p class="note">This run was not evaluated.</p></div>`;
  const hasAccuracy = final.adapFu.accuracy !== null;
  const hasF1 = final.adapFu.f1 !== undefined;
  const row = (name: string, note: string, score: Score, best: boolean) => html`
<tr class="${best ? 'best' : ''}"><th scope="row">${name}<small>${note}</small></th>
${hasAccuracy ? html`<td>${formatPercent(score.accuracy)}</td>` : ''}${hasF1 ? html`<td>${formatPercent(score.f1 ?? null)}</td>` : ''}<td>${formatLoss(score.loss)}</td></tr>`;
  return html`<div><h2>Final scores</h2>
<table><thead><tr><th scope="col">Model</th>${hasAccuracy ? html`<th scope="col">Accuracy</th>` : ''}${hasF1 ? html`<th scope="col">F1</th>` : ''}<th scope="col">Loss</th></tr></thead>
<tbody>${[
    row('Base', 'full model, no adapter', final.base, false),
    row('AdapEmu', 'emulator + adapter, as on the clients', final.adapEmu, false),
    row('AdapFu', 'full model + adapter, the result', final.adapFu, true),
  ]}</tbody></table></div>`;
}

function facts({ rounds, plan, adapterSha256 }: RunReport): Markup {
  const sum = (of: (round: RoundReport) => number) => rounds.reduce((total, round) => total + of(round), 0);
  const seconds = sum((round) => Object.values(round.seconds).reduce((a, b) => a + b, 0));
  const entries: [string, Content][] = [
    ['Time', formatDuration(seconds)],
    [
      'Bytes moved',
      `${formatBytes(sum(({ bytes }) => bytes.down))} down, ${formatBytes(sum(({ bytes }) => bytes.up))} up`,
    ],
    ['Full model', `${formatCount(plan.parameters.full)} parameters, ${formatBytes(plan.bytes.fullModel)}`],
    [
      'Emulator',
      `${formatCount(plan.parameters.emulator)} parameters, ${formatBytes(plan.bytes.emulatorBundle)} once per client`,
    ],
    [
      'LoRA',
      `${formatCount(plan.parameters.adapterLora)} adapter, ${formatCount(plan.parameters.emulatorLora)} emulator parameters`,
    ],
    ['Estimated memory', memoryOfRoles(plan.memory)],
    ...(plan.gpuMemory ? [['Estimated GPU memory', memoryOfRoles(plan.gpuMemory)] satisfies [string, Content]] : []),
    ['Adapter SHA-256', adapterSha256 === null ? 'the run is not finished' : html`<code>${adapterSha256}</code>`],
  ];
  return html`<div><h2>Run</h2><dl>${entries.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl></div>`;
}

const memoryOfRoles = ({ server, client }: { server: number; client: number }) =>
  `${formatBytes(server)} server, ${formatBytes(client)} client`;

function layers({ plan: { layers } }: RunReport): Markup {
  const adapter = new Set(layers.adapter);
  const emulator = new Set(layers.emulator);
  const roleOf = (layer: number) => (adapter.has(layer) ? 'adapter' : emulator.has(layer) ? 'emulator' : 'dropped');
  const key = [
    { role: 'emulator', text: `kept in the emulator: ${formatIndices(layers.emulator)}` },
    { role: 'dropped', text: `dropped: ${formatIndices(layers.dropped)}` },
    { role: 'adapter', text: `adapter: ${formatIndices(layers.adapter)}` },
  ];
  return html`<h2>Layers</h2>
<ol class="layers" aria-hidden="true">${Array.from({ length: layers.total }, (_, i) => html`<li class="${roleOf(i)}">${i}</li>`)}</ol>
<p class="key">${key.map(({ role, text }) => html`<span><i class="${role}"></i>${text}</span>`)}</p>`;
}

function figure({ title, caption, svg }: Figure, index: number): Markup {
  return html`<figure>${svg}<figcaption><b>Figure ${index + 1}. ${title}.</b> ${caption}</figcaption></figure>`;
}

function roundsTable(rounds: readonly RoundReport[]): Markup {
  const head = [
    'Round',
    'Reported',
    'Lost',
    'Alignment loss',
    'Local loss',
    'Base',
    'AdapEmu',
    'AdapFu',
    'Down',
    'Up',
    'Time',
  ];
  const score = (of: Score | undefined) =>
    of === undefined
      ? ''
      : of.accuracy === null
        ? formatLoss(of.loss)
        : `${formatPercent(of.accuracy)} / ${formatLoss(of.loss)}`;
  const rows = rounds.map(({ round, clients, alignmentLoss, localLoss, evaluation, bytes, seconds }) => [
    round,
    `${clients.reported.length} of ${clients.selected.length}`,
    clients.dropped.length + clients.refused.length,
    formatLoss(alignmentLoss),
    formatLoss(localLoss),
    score(evaluation?.base),
    score(evaluation?.adapEmu),
    score(evaluation?.adapFu),
    formatBytes(bytes.down),
    formatBytes(bytes.up),
    formatDuration(Object.values(seconds).reduce((a, b) => a + b, 0)),
  ]);
  return html`<section class="rounds"><h2>Rounds</h2>
<details><summary>All ${plural(rounds.length, 'round')} as a table</summary><div class="scroll"><table>
<thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((value) => html`<td>${value}</td>`)}</tr>`)}</tbody>
</table></div></details></section>`;
}

function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
