/** The report's style sheet. Series colours are Okabe and Ito's (light) and lighter shades of the same hues (dark). */
export const style = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f6f7f8; --ink: #1b1f24; --muted: #5b6470; --rule: #e2e5e9; --accent: #0072b2;
  --series-base: #5b6470; --series-blue: #0072b2; --series-orange: #d55e00; --series-green: #009e73; --series-purple: #aa4499;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --card: #1d2126; --ink: #e7eaee; --muted: #9aa4b0; --rule: #2e343b; --accent: #56b4e9;
    --series-base: #a5afba; --series-blue: #56b4e9; --series-orange: #f0904d; --series-green: #35c49a; --series-purple: #d68ac9;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 3rem 1.5rem 4rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif;
}
header p { margin: 0; color: var(--muted); }
h1 { margin: .1rem 0 .3rem; font-size: 2.1rem; line-height: 1.15; letter-spacing: -.015em; overflow-wrap: anywhere; }
h2 { margin: 2.8rem 0 .8rem; font-size: 1.25rem; letter-spacing: -.005em; }
section.summary { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem 3rem; margin-top: 2rem; }
section.summary h2 { margin-top: 0; }
table { width: 100%; border-collapse: collapse; font-size: .9375rem; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); vertical-align: baseline; }
th { font-weight: 600; }
th[scope=row] { white-space: nowrap; }
thead th { color: var(--muted); font-weight: 500; font-size: .8125rem; border-bottom: 1.5px solid var(--muted); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td small, th small { display: block; white-space: normal; color: var(--muted); font-weight: 400; font-size: .8125rem; }
tr.best td, tr.best th { font-weight: 600; }
th[scope=row] { white-space: nowrap; }
.scroll { overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .38rem 1.2rem; margin: 0; font-size: .9375rem; font-variant-numeric: tabular-nums; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: .8125rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
ol.layers { display: flex; flex-wrap: wrap; gap: 3px; margin: 0 0 .7rem; padding: 0; list-style: none; }
ol.layers li {
  min-width: 1.75rem; padding: .2rem .2rem; border: 1.5px solid; border-radius: 3px; text-align: center;
  font-size: .75rem; line-height: 1.3; font-variant-numeric: tabular-nums;
  print-color-adjust: exact; -webkit-print-color-adjust: exact;
}
li.adapter, i.adapter { background: var(--series-orange); border-color: var(--series-orange); color: var(--paper); font-weight: 600; }
li.emulator, i.emulator { background: var(--series-blue); border-color: var(--series-blue); color: var(--paper); font-weight: 600; }
li.dropped, i.dropped { border-color: var(--rule); color: var(--muted); }
p.key { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: 0; color: var(--muted); font-size: .9375rem; }
p.key i { display: inline-block; width: .8em; height: .8em; margin-right: .45em; border: 1.5px solid; border-radius: 2px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); gap: 2.2rem 2.5rem; }
figure { margin: 0; break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { margin-top: .3rem; color: var(--muted); font-size: .9rem; line-height: 1.45; }
figcaption b { color: var(--ink); font-weight: 600; }
td.share { background: color-mix(in srgb, var(--accent) calc(var(--share) * 45%), transparent); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
p.note { color: var(--muted); font-size: .9rem; }
p.warning { padding: .6rem .9rem; border-left: 3px solid var(--series-orange); background: var(--card); }
details summary { cursor: pointer; color: var(--accent); }
footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid var(--rule); color: var(--muted); font-size: .875rem; }
@media print {
  @page { size: A4; margin: 15mm 14mm; }
  :root { font-size: 9.5pt; }
  body { padding: 0; max-width: none; font-size: 1rem; }
  h2 { margin-top: 1.4rem; break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; gap: 1.2rem 1.4rem; }
  section.summary { grid-template-columns: 1fr 1fr; gap: .5rem 1.5rem; }
  section.rounds:not(:has(details[open])) { display: none; }
  tr { break-inside: avoid; }
  .scroll { overflow: visible; }
}
`;
