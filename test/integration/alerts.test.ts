// The chart's rules, checked by promtool: their syntax, and for which series each alert fires or does not. Every alert
// has a runbook, and every runbook an alert.
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import t from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import { parse } from 'yaml';
import { run } from '../cluster/run.ts';
import { noPrometheus } from '../support/prometheus.ts';

const ROOT = join(import.meta.dirname, '../..');
const RULES = join(ROOT, 'charts/fedbiot/rules');
const TESTS = join(ROOT, 'test/rules');
const RUNBOOKS = join(ROOT, 'docs/runbooks');

const Alert = Type.Object({
  alert: Type.String(),
  expr: Type.String(),
  labels: Type.Object({ severity: Type.Enum(['critical', 'warning']) }),
  annotations: Type.Object({ summary: Type.String(), description: Type.String(), runbook_url: Type.String() }),
});
const Rules = Type.Object({
  groups: Type.Array(Type.Object({ name: Type.String(), rules: Type.Array(Type.Unknown()) })),
});
const Tests = Type.Object({
  tests: Type.Array(
    Type.Object({
      alert_rule_test: Type.Optional(
        Type.Array(Type.Object({ alertname: Type.String(), exp_alerts: Type.Array(Type.Unknown()) })),
      ),
    }),
  ),
});

const files = (await readdir(RULES)).map((name) => join(RULES, name));
const read = (path: string): unknown => parse(readFileSync(path, 'utf8'));
const rules = files.flatMap((path) => Value.Parse(Rules, read(path)).groups.flatMap((group) => group.rules));
const alerts = rules.flatMap((rule) =>
  Value.Check(Type.Object({ alert: Type.String() }), rule) ? [Value.Parse(Alert, rule)] : [],
);

t.test('promtool accepts the rules', { skip: noPrometheus }, async (t) => {
  const said = await run('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', ...files]);
  t.match(said, /SUCCESS/);
  t.comment(said);
});

for (const name of await readdir(TESTS)) {
  t.test(`alerts fire only when they should: ${name}`, { skip: noPrometheus }, async (t) => {
    t.match(await run('promtool', ['test', 'rules', join(TESTS, name)]), /SUCCESS/);
  });
}

t.test('each alert is tested with series for which it fires, and with series for which it does not', async (t) => {
  const paths = (await readdir(TESTS)).map((name) => join(TESTS, name));
  const cases = paths.flatMap((path) =>
    Value.Parse(Tests, read(path)).tests.map(({ alert_rule_test = [] }) => alert_rule_test),
  );
  t.ok(alerts.length >= 15, `${alerts.length} alerts`);
  for (const { alert } of alerts) {
    const mine = cases
      .map((checks) => checks.filter(({ alertname }) => alertname === alert))
      .filter((checks) => checks.length > 0);
    t.ok(
      mine.some((checks) => checks.some(({ exp_alerts }) => exp_alerts.length > 0)),
      `${alert} fires`,
    );
    t.ok(
      mine.some((checks) => checks.every(({ exp_alerts }) => exp_alerts.length === 0)),
      `${alert} does not fire`,
    );
  }
});

t.test('each alert has a runbook, and each runbook an alert', async (t) => {
  const runbooks = (await readdir(RUNBOOKS)).map((name) => basename(name, '.md'));
  t.strictSame(runbooks.sort(), alerts.map(({ alert }) => alert).sort());
  const overview = readFileSync(join(ROOT, 'docs/monitoring.md'), 'utf8');
  for (const { alert, annotations } of alerts) {
    t.equal(annotations.runbook_url, `docs/runbooks/${alert}.md`);
    const text = readFileSync(join(RUNBOOKS, `${alert}.md`), 'utf8');
    t.match(text, new RegExp(`^# ${alert}\n`), `${alert}: the runbook's title`);
    for (const heading of ['What it means', 'Impact', 'Look', 'Do', 'When it may wait'])
      t.ok(text.includes(`\n## ${heading}\n`), `${alert}: ${heading}`);
    t.ok(overview.includes(`(runbooks/${alert}.md)`), `${alert} is in the overview`);
  }
});
