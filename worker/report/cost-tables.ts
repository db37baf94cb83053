import type { RoleCost, RunCost, Saving } from '../../crds/facts/cost.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { formatBytes, formatCount, formatDuration, formatFlops, formatPercent } from './format.ts';

type Rows = readonly (readonly string[])[];

/** The resources used by each role: a header and two rows. */
export function usageRows({ server, clients }: RunCost): Rows {
  const row = (name: string, { cpuSeconds, gpuSeconds, tokens, peakMemoryBytes }: RoleCost) => [
    name,
    formatDuration(cpuSeconds),
    formatDuration(gpuSeconds === 0 ? null : gpuSeconds),
    formatCount(tokens),
    formatBytes(peakMemoryBytes),
  ];
  return [['', 'CPU time', 'GPU time', 'tokens', 'memory'], row('server', server), row('clients', clients)];
}

/** The savings compared with sending and training the full model: a header and two rows. */
export function savingRows({ savings }: RunCost): Rows {
  const row = (name: string, { here, fullModel, saved }: Saving, format: (value: number) => string) => [
    name,
    format(here),
    format(fullModel),
    format(saved),
    formatPercent(fullModel === 0 ? null : saved / fullModel),
  ];
  return [
    ['', 'here', 'full model', 'saved', ''],
    row('bytes', savings.bytes, formatBytes),
    row('FLOPs', savings.flops, formatFlops),
  ];
}

/** Both tables as HTML for the report. */
export function costTables(cost: RunCost): Markup {
  const { bundle, down, up } = cost.bytes;
  return html`<section class="summary">
<div><h2>Cost</h2>${table(usageRows(cost))}</div>
<div><h2>Compared with the full model</h2>${table(savingRows(cost))}
<p class="note">${formatBytes(bundle)} once to the clients, ${formatBytes(down)} down and ${formatBytes(up)} up in rounds. FLOPs are computed by formula.</p></div>
</section>`;
}

function table([head = [], ...rows]: Rows): Markup {
  return html`<table><thead><tr>${head.map((name) => html`<th scope="col">${capital(name)}</th>`)}</tr></thead>
<tbody>${rows.map(([name = '', ...values]) => html`<tr><th scope="row">${capital(name)}</th>${values.map((value) => html`<td>${value}</td>`)}</tr>`)}</tbody></table>`;
}

const capital = (name: string) => name.slice(0, 1).toUpperCase() + name.slice(1);
