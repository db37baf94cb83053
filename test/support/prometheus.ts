import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import { stringify } from 'yaml';
import { freePort } from './redis.ts';
import { until } from './until.ts';

/** The reason why Prometheus or promtool is missing; false if both exist. */
export const noPrometheus: string | false = ['prometheus', 'promtool'].every(
  (program) => spawnSync(program, ['--version']).status === 0,
)
  ? false
  : 'SKIPPED: no prometheus and promtool on the PATH; install the package prometheus';

/** A series with values over time, or at one time. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Seconds since 1970, and the value at that time. */
  readonly points: readonly (readonly [number, number])[];
}

export interface Window {
  /** Seconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

export interface PrometheusOptions {
  readonly scrapeConfigs: readonly object[];
  readonly rules?: readonly string[];
  /** Interval of scrapes, and the default interval of rules. */
  readonly interval: string;
}

const Sample = Type.Tuple([Type.Number(), Type.String()]);
const Vector = Type.Array(Type.Object({ metric: Type.Record(Type.String(), Type.String()), value: Sample }));
const Matrix = Type.Array(
  Type.Object({ metric: Type.Record(Type.String(), Type.String()), values: Type.Array(Sample) }),
);
const QueryData = <T extends Type.TSchema>(result: T) => Type.Object({ result });
const Targets = Type.Object({
  activeTargets: Type.Array(
    Type.Object({
      scrapeUrl: Type.String(),
      health: Type.String(),
      lastError: Type.String(),
      labels: Type.Record(Type.String(), Type.String()),
    }),
  ),
});
const Answer = Type.Object({
  status: Type.String(),
  error: Type.Optional(Type.String()),
  data: Type.Optional(Type.Unknown()),
});

/** A Prometheus for one test. */
export class Prometheus {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** The result of an expression at one time. */
  async query(expr: string, at: number): Promise<Series[]> {
    const { result } = await this.#ask('query', { query: expr, time: String(at) }, QueryData(Vector));
    return result.map(({ metric, value }) => ({ labels: metric, points: [point(value)] }));
  }

  async queryRange(expr: string, { from, to, step }: Window): Promise<Series[]> {
    const times = { start: String(from), end: String(to), step: String(step) };
    const { result } = await this.#ask('query_range', { query: expr, ...times }, QueryData(Matrix));
    return result.map(({ metric, values }) => ({ labels: metric, points: values.map(point) }));
  }

  /** The values of a label in matching series. */
  labelValues(label: string, series: string): Promise<string[]> {
    return this.#ask(`label/${label}/values`, { 'match[]': series }, Type.Array(Type.String()));
  }

  /** The scraped targets, and the results of their last scrapes. */
  async targets() {
    return (await this.#ask('targets', {}, Targets)).activeTargets;
  }

  async #ask<T extends Type.TSchema>(
    path: string,
    parameters: Readonly<Record<string, string>>,
    shape: T,
  ): Promise<Type.Static<T>> {
    const response = await fetch(`${this.#url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const answer = Value.Parse(Answer, await response.json());
    if (answer.status !== 'success')
      throw new Error(`${answer.error ?? answer.status}, of ${parameters['query'] ?? path}`);
    return Value.Parse(shape, answer.data);
  }
}

const point = ([time, value]: readonly [number, string]): readonly [number, number] => [time, numberOf(value)];
const numberOf = (text: string) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));

/** Starts Prometheus. The process and its files are removed after the test. */
export async function startPrometheus(
  t: Pick<Test, 'teardown'>,
  { scrapeConfigs, rules = [], interval }: PrometheusOptions,
): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'fedbiot-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  const global = { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval };
  await writeFile(config, stringify({ global, rule_files: rules, scrape_configs: scrapeConfigs }));
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${address}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-10_000)));
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(folder, { recursive: true, force: true });
  });
  await until('Prometheus is ready', 60, async () => {
    if (child.exitCode !== null) throw new Error(`Prometheus ended:\n${log}`);
    return (await fetch(`http://${address}/-/ready`).catch(() => null))?.ok ? true : null;
  });
  return new Prometheus(`http://${address}`);
}
