export interface ScrapedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Parses Prometheus's text format.
 * @throws if a line is invalid, or a metric's samples do not follow its type
 */
export class Scrape {
  readonly types = new Map<string, string>();
  readonly samples: ScrapedSample[] = [];

  constructor(text: string) {
    for (const line of text.split('\n')) {
      if (line === '' || line.startsWith('# HELP ')) continue;
      const type = /^# TYPE (\w+) (counter|gauge|histogram|summary)$/.exec(line);
      if (type !== null) this.types.set(type[1] ?? '', type[2] ?? '');
      else this.samples.push(this.#sample(line));
    }
  }

  /** Series with this name; for a histogram, those of its parts. */
  all(name: string): readonly ScrapedSample[] {
    return this.samples.filter((sample) => sample.name === name);
  }

  /** The value of the only series with these labels, which may have others as well; undefined: there is none. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const found = this.all(name).filter((sample) =>
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    if (found.length > 1) throw new Error(`${found.length} series ${name} have the labels ${JSON.stringify(labels)}`);
    return found[0]?.value;
  }

  #sample(line: string): ScrapedSample {
    const [, name = '', inside = '', value = ''] =
      /^(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$/.exec(line) ?? [];
    const metric = this.types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, '');
    if (!this.types.has(metric)) throw new Error(`no sample of a metric that was announced: ${line}`);
    const labels = Object.fromEntries(
      [...inside.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', text = '']) => [label, text]),
    );
    return { name, labels, value: Number(value.replace('Inf', 'Infinity')) };
  }
}
