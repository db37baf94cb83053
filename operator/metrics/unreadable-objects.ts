import type { Registry } from 'prom-client';
import { one, registerSeries } from '../../worker/metrics/series.ts';
import type { Series } from '../../worker/metrics/series.ts';

const UNREADABLE: Series<number> = {
  name: 'fedbiot_operator_unreadable_objects',
  help: 'Watched objects that the operator cannot read and skips.',
  kind: 'gauge',
  labels: [],
  samples: one,
};

/** @param counts unreadable objects by the plural of their resource; called at every scrape */
export function unreadableObjects(registry: Registry, counts: () => ReadonlyMap<string, number>): void {
  registerSeries(registry, [UNREADABLE], ['resource'], () =>
    Array.from(counts(), ([resource, view]) => ({ labels: { resource }, view })),
  );
}
