import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { parseAllDocuments } from 'yaml';
import { ensureHelm } from '../cluster/ensure-helm.ts';
import { run } from '../cluster/run.ts';
import { CHART, SYSTEM } from './chart.ts';

const found = await ensureHelm();

/** The reason why there is no Helm; false if there is one. */
export const noHelm: string | false = 'skip' in found ? `SKIPPED: ${found.skip}` : false;

const strings = Type.Optional(Type.Record(Type.String(), Type.String()));
const Rendered = Type.Object({
  apiVersion: Type.String(),
  kind: Type.String(),
  metadata: Type.Object({
    name: Type.String(),
    namespace: Type.Optional(Type.String()),
    labels: strings,
    annotations: strings,
  }),
});

/** An object in Helm's output, with any further fields of its kind. */
export type Rendered = Static<typeof Rendered> & Readonly<Record<string, unknown>>;

/** Helm with temporary folders, which are removed after the test. `kubeconfig` null: without a cluster. */
export class Helm {
  readonly #environment: NodeJS.ProcessEnv;

  constructor(t: Pick<Test, 'teardown'>, kubeconfig: string | null = null) {
    const home = mkdtempSync(join(tmpdir(), 'fedbiot-helm-'));
    t.teardown(() => rmSync(home, { recursive: true, force: true }));
    this.#environment = {
      PATH: process.env['PATH'],
      HOME: home,
      HELM_CACHE_HOME: join(home, 'cache'),
      HELM_CONFIG_HOME: join(home, 'config'),
      HELM_DATA_HOME: join(home, 'data'),
      KUBECONFIG: kubeconfig ?? join(home, 'none'),
    };
  }

  /**
   * Runs a command and returns its output; `values` are the chart's, for commands that accept them. Throws with its
   * error output.
   */
  run(args: readonly string[], values?: object): Promise<string> {
    if ('skip' in found) throw new Error(found.skip);
    const given = values === undefined ? {} : { input: JSON.stringify(values) };
    return run(join(found.folder, 'helm'), values === undefined ? args : [...args, '--values=-'], {
      env: this.#environment,
      ...given,
    });
  }

  /** The objects of a release named fedbiot, including its test. */
  async template(values: object): Promise<Rendered[]> {
    const api = '--api-versions=admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy';
    const text = await this.run(['template', 'fedbiot', CHART, `--namespace=${SYSTEM}`, api], values);
    return parseAllDocuments(text).flatMap((document) => {
      const object: unknown = document.toJS();
      return Value.Check(Rendered, object) ? [object] : [];
    });
  }
}
