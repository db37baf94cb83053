import t from 'tap';
import type { RunReport } from '../../crds/facts/report.ts';
import { accumulate, emptyHistory, reportOf } from '../../worker/report/accumulate.ts';
import { html } from '../../worker/report/escape.ts';
import { renderReport } from '../../worker/report/html.ts';
import { LossCurves } from '../../worker/report/loss-curves.ts';
import { evaluationAt, sampleEvents, sampleFacts, samplePlan } from '../support/sample-run.ts';

const hostile = `</title><script>alert("1")</script><img src='x' onerror=alert(2)>&amp;`;

function render(rounds: number, change: Partial<RunReport> = {}): string {
  const events = sampleEvents(rounds);
  const curves = new LossCurves();
  for (const event of events) if (event.event === 'step') curves.add(event);
  return renderReport(
    { ...reportOf(events.reduce(accumulate, emptyHistory), sampleFacts), ...change },
    curves,
    '1.2.3',
  );
}

/** The document's tags in order, after a check that every element is closed correctly. */
function tagsOf(page: string): string[] {
  const open: string[] = [];
  const tags: string[] = [];
  const withoutStyle = page.replace(/<style>.*?<\/style>/s, '');
  for (const [whole, closing, name = '', selfClosing] of withoutStyle.matchAll(
    /<(\/?)([a-zA-Z][\w-]*)(?:\s+[\w:-]+="[^"<>]*")*\s*(\/?)>/g,
  )) {
    tags.push(whole);
    if (closing === '/') {
      if (open.pop() !== name) throw new Error(`${whole} closes nothing`);
    } else if (selfClosing !== '/' && !['meta', 'br'].includes(name)) open.push(name);
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join(' ')}`);
  // Any other text that begins like a tag is unknown to this grammar.
  const strange = withoutStyle.match(/<(?!\/?[a-zA-Z][\w-]*(?:\s+[\w:-]+="[^"<>]*")*\s*\/?>|!doctype html>)/i);
  if (strange !== null)
    throw new Error(`stray < before ${withoutStyle.slice(strange.index, (strange.index ?? 0) + 60)}`);
  return tags;
}

t.test('a plan with a GPU shows its memory beside that of the machine', async (t) => {
  const memory = { server: 3 * 2 ** 30, client: 2 ** 30, evaluation: 2 ** 30, run: 5 * 2 ** 30 };
  const shown = 'Estimated GPU memory</dt><dd>3.00 GiB server, 1.00 GiB client</dd>';
  t.match(render(1, { plan: { ...samplePlan, gpuMemory: memory } }), shown);
  t.notMatch(render(1), 'GPU memory');
});

t.test('the page is well formed and stands alone', async (t) => {
  const page = render(6);
  const tags = tagsOf(page);
  t.equal(tags.filter((tag) => tag.startsWith('<svg')).length, 8, 'eight figures');
  t.equal(tags.filter((tag) => tag === '<figure>').length, 8);
  t.notOk(
    tags.some((tag) => /^<(script|link|img|iframe|object|image|use|a)\b/i.test(tag)),
    'nothing that loads or runs',
  );
  t.notOk(/\b(?:src|href|srcset|on\w+)=/i.test(page), 'no reference, no handler');
  t.same(
    [...page.matchAll(/https?:[^"\s]*/g)].map(([url]) => url).filter((url) => url !== 'http://www.w3.org/2000/svg'),
    [],
  );
  t.notOk(/url\((?!#)|@import/.test(page), 'styles load nothing');
  t.notOk(/NaN|undefined|\[object/.test(page), 'no value went missing');
});

t.test('the page shows the report’s values', async (t) => {
  const page = render(6);
  for (const text of [
    '<h1>sample</h1>',
    'FedBiOT · seed 7 · 6 rounds · 2 clients',
    String(sampleFacts.adapterSha256),
    '22.0 %',
    '0, 2, 5',
    '1, 3, 4',
    'fedbiot 1.2.3',
  ]) {
    t.ok(page.includes(text), text);
  }
  t.match(
    page,
    /Client 1<\/th><td>10<\/td><td class="share" style="--share: 1\.000">10<\/td><td>·<\/td>/,
    'who holds what, most frequent first',
  );
  t.match(page, /Server<\/th><td>18\.0 s<\/td><td>–<\/td><td>1,800<\/td><td>256 MiB<\/td>/, 'what it cost');
  t.match(
    page,
    /FLOPs<\/th><td>5\.60 MFLOP<\/td><td>3\.20 MFLOP<\/td><td>-2\.40 MFLOP<\/td><td>-75\.0 %<\/td>/,
    'and what it saved, or did not',
  );
  t.notMatch(render(6, { cost: null }), /CPU time/);
  t.match(page, /<li class="emulator">0<\/li><li class="dropped">1<\/li>/, 'layers');
});

t.test('figures hold the data', async (t) => {
  const shapes = (page: string) => [...page.matchAll(/ d="([^"]+)"/g)].length;
  t.ok(shapes(render(12)) > shapes(render(6)), 'more rounds, more bars');
  t.ok(render(400).length < 600_000, 'a long run’s page stays small');
});

t.test('data is text, whatever it contains', async (t) => {
  const page = render(2, {
    job: hostile,
    method: hostile,
    adapterSha256: hostile,
    partition: [{ client: 0, records: 3, categories: { [hostile]: 3 } }],
  });
  tagsOf(page);
  t.notOk(page.includes('<script'));
  t.notOk(page.includes('<img'));
  t.equal(page.split('&lt;/title&gt;&lt;script&gt;').length - 1, 5, 'title, heading, method, digest and category');
});

t.test('runs without accuracy, evaluation or a finished round have a page too', async (t) => {
  const page = render(1);
  t.notOk(page.includes('Accuracy by round'));
  t.ok(page.includes('This run was not evaluated.'));
  const lossOnly = render(1, { final: evaluationAt(1, false) });
  t.notOk(lossOnly.includes('>Accuracy</th>'));
  const empty = renderReport(
    reportOf(sampleEvents(0).reduce(accumulate, emptyHistory), sampleFacts),
    new LossCurves(),
    '1.2.3',
  );
  t.ok(empty.includes('No round has finished yet.'));
  tagsOf(empty);
});

t.test('html`…` escapes values and leaves markup', async (t) => {
  t.equal(
    html`<p title="${'"\'<'}">${[html`<b>${'&'}</b>`, 1, 'x<']}</p>`.source,
    '<p title="&quot;&#39;&lt;"><b>&amp;</b>1x&lt;</p>',
  );
});
