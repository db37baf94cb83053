import type { RunReport } from '../../crds/facts/report.ts';
import type { Markup } from './escape.ts';
import { html } from './escape.ts';
import { formatCount } from './format.ts';

const COLUMNS = 12;

/**
 * The records of each client: one row per client and one column per category, most frequent first. Rare categories are
 * summed up in one column.
 */
export function partitionTable(partition: RunReport['partition']): Markup {
  const totals = new Map<string, number>();
  for (const { categories } of partition) {
    for (const [name, count] of Object.entries(categories)) totals.set(name, (totals.get(name) ?? 0) + count);
  }
  const names = [...totals].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([name]) => name);
  const shown = names.length > COLUMNS ? names.slice(0, COLUMNS - 1) : names;
  const others = names.slice(shown.length);
  const head = ['Client', 'Records', ...shown, ...(others.length > 0 ? [`${others.length} others`] : [])];
  const rows = partition.map(({ client, records, categories }) => {
    const counts = shown.map((name) => categories[name] ?? 0);
    if (others.length > 0) counts.push(others.reduce((sum, name) => sum + (categories[name] ?? 0), 0));
    return html`<tr><th scope="row">Client ${client}</th><td>${formatCount(records)}</td>${counts.map((count) => cell(count, records))}</tr>`;
  });
  return html`<h2>Records per client</h2>
${names.length > 1 ? html`<p class="note">Records by category. Darker cells have a larger share of the client’s records.</p>` : ''}
<div class="scroll"><table>
<thead><tr>${head.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows}</tbody>
</table></div>`;
}

function cell(count: number, records: number): Markup {
  if (count === 0) return html`<td>·</td>`;
  return html`<td class="share" style="--share: ${(count / records).toFixed(3)}">${formatCount(count)}</td>`;
}
