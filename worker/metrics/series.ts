import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric that is computed from a view `V` at each scrape, so that no stale samples remain. */
export interface Series<V> {
  readonly name: string;
  readonly help: string;
  readonly kind: 'gauge' | 'counter';
  readonly labels: readonly string[];
  samples(view: V): readonly Sample[];
}

/** A view, and the labels that all its samples have. */
export interface Labelled<V> {
  readonly labels: Readonly<Record<string, string>>;
  readonly view: V;
}

export const one = (value: number): Sample[] => [{ labels: {}, value }];

/** The same metrics, computed from something that can be converted to their view. */
export const viewedAs = <V, W>(series: readonly Series<V>[], see: (view: W) => V): Series<W>[] =>
  series.map((each) => ({ ...each, samples: (view) => each.samples(see(view)) }));

/** @param labelNames those that every view has */
export function registerSeries<V>(
  registry: Registry,
  series: readonly Series<V>[],
  labelNames: readonly string[],
  views: () => Iterable<Labelled<V>>,
): void {
  for (const { name, help, kind, labels, samples } of series) {
    const configuration = { name, help, labelNames: [...labelNames, ...labels], registers: [registry] };
    const each = (add: (labels: Record<string, string>, value: number) => void) => {
      for (const { labels: own, view } of views()) {
        for (const sample of samples(view)) {
          // NaN is skipped: an absent sample is visible, and does not turn sums into NaN.
          if (Number.isFinite(sample.value)) add({ ...own, ...sample.labels }, sample.value);
        }
      }
    };
    if (kind === 'gauge') {
      new Gauge({
        ...configuration,
        collect() {
          empty(this, configuration.labelNames);
          each((of, value) => this.set(of, value));
        },
      });
    } else {
      new Counter({
        ...configuration,
        collect() {
          empty(this, configuration.labelNames);
          each((of, value) => this.inc(of, Math.max(0, value)));
        },
      });
    }
  }
}

/** reset() would leave a 0 in a metric without labels. */
function empty(metric: Gauge | Counter, labelNames: readonly string[]): void {
  if (labelNames.length === 0) metric.remove();
  else metric.reset();
}
