// The dashboards' files: generated, complete, and independent of a data source. Their queries are tested on real runs
// by dashboards-run and, on a cluster, by the end-to-end test.
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { dashboards } from '../../charts/dashboards/dashboards.ts';
import { DASHBOARDS, isRow, readDashboard } from '../support/dashboards.ts';

const NAMES = ['fleet', 'job', 'operator'];

t.test('the files are those that the code generates', async (t) => {
  const generated = dashboards();
  t.strictSame((await readdir(DASHBOARDS)).sort(), Object.keys(generated).sort());
  for (const [name, text] of Object.entries(generated)) {
    t.ok(readFileSync(join(DASHBOARDS, name), 'utf8') === text, `${name} is as npm run generate writes it`);
  }
});

for (const name of NAMES) {
  t.test(`the dashboard ${name}`, async (t) => {
    const dashboard = readDashboard(name);
    const panels = dashboard.panels.filter((panel) => !isRow(panel));
    t.equal(dashboard.uid, `fedbiot-${name}`, 'links and bookmarks know it by this');
    t.same(
      dashboard.links.map(({ type }) => type),
      ['dashboards'],
      'leads to the others',
    );
    const [source, ...others] = dashboard.templating.list;
    t.match(source, { name: 'datasource', type: 'datasource' });
    t.ok(
      others.length > 0 && others.every(({ type, allValue }) => type === 'query' && allValue === '.*'),
      'variables can be all',
    );

    t.equal(
      new Set(dashboard.panels.map(({ id }) => id)).size,
      dashboard.panels.length,
      'panels have numbers of their own',
    );
    t.equal(new Set(panels.map(({ title, gridPos }) => `${title} ${gridPos.y}`)).size, panels.length);
    for (const { title, description = '', targets = [], fieldConfig, type, datasource } of panels) {
      t.ok(description.length > 10 && description.endsWith('.'), `${title}: is described`);
      t.ok(targets.length > 0, `${title}: asks something`);
      const uids = [datasource, ...targets.map((target) => target.datasource)].map((each) => each?.uid);
      t.ok(
        uids.every((uid) => uid === '${datasource}'),
        `${title}: whichever data source is chosen`,
      );
      const units =
        type === 'table'
          ? (fieldConfig?.overrides.flatMap(({ properties }) => properties.filter(({ id }) => id === 'unit')) ?? [])
          : [fieldConfig?.defaults.unit];
      t.ok(title === 'Failed' || (units.length > 0 && units.every(Boolean)), `${title}: has a unit`);
    }
    t.notMatch(JSON.stringify(dashboard.panels), /"uid":"(?!\$\{datasource\})/, 'no data source by its name');
  });
}

t.test('panels do not overlap and fill whole rows of the grid', async (t) => {
  for (const name of NAMES) {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of readDashboard(name).panels) {
      t.ok(gridPos.x + gridPos.w <= 24, `${name}: ${title} is within the grid`);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          const other = taken.get(`${x} ${y}`);
          if (other !== undefined) t.fail(`${name}: ${title} lies on ${other}`);
          taken.set(`${x} ${y}`, title);
        }
      }
    }
    const rows = Math.max(...readDashboard(name).panels.map(({ gridPos }) => gridPos.y + gridPos.h));
    t.equal(taken.size, rows * 24, `${name}: no holes`);
  }
});
