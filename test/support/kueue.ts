import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import Type from 'typebox';
import Value from 'typebox/value';
import { parse, parseAllDocuments } from 'yaml';
import { ensureKueue } from '../cluster/ensure-kueue.ts';
import { makeCertificate, noOpenssl } from './certificate.ts';
import type { CertificateFiles } from './certificate.ts';
import { freePort } from './redis.ts';
import { until } from './until.ts';

const found = await ensureKueue();

/** The reason why Kueue cannot be started; false if it can. */
export const noKueue: string | false = 'skip' in found ? `SKIPPED: ${found.skip}` : noOpenssl;

const NAMESPACE = 'kueue-system';
const SECONDS = 120;

/** Definitions whose versions Kueue converts. */
const CONVERTED = ['localqueues', 'clusterqueues', 'cohorts', 'workloads', 'multikueueclusters'];

const Definition = Type.Object({
  metadata: Type.Object({ name: Type.String() }),
  spec: Type.Record(Type.String(), Type.Unknown()),
});
const Webhooks = Type.Object({
  kind: Type.String(),
  metadata: Type.Object({ name: Type.String() }),
  webhooks: Type.Array(
    Type.Object(
      { clientConfig: Type.Object({ service: Type.Object({ path: Type.String() }) }) },
      { additionalProperties: true },
    ),
  ),
});

/** A cluster, as its administrator reaches it. */
interface Cluster {
  readonly folder: string;
  readonly kubeconfig: string;
  kubectl(args: readonly string[], input?: string): Promise<string>;
}

/**
 * Starts Kueue with its definitions and webhooks, as an administrator; `settings` are further fields of its
 * configuration. It ends with the test.
 */
export async function startKueue(t: Pick<Test, 'teardown'>, cluster: Cluster, settings: object = {}): Promise<void> {
  if ('skip' in found) throw new Error(found.skip);
  const folder = join(cluster.folder, 'kueue');
  mkdirSync(folder);
  const [port, health] = [await freePort(), await freePort()];
  const certificate = makeCertificate(
    folder,
    ['IP:127.0.0.1', `DNS:kueue-webhook-service.${NAMESPACE}.svc`],
    // Kueue makes its own certificates if the authority has another name.
    'kueue-ca',
  );
  const asked = webhooks(found.folder, port);
  const objects = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } },
    secretOf(certificate),
    ...definitions(found.folder, port),
    ...asked,
  ];
  const list = (items: readonly object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await cluster.kubectl(['create', '--filename=-'], list(objects));

  const config = join(folder, 'config.json');
  writeFileSync(config, JSON.stringify({ ...configuration(folder, port, health), ...settings }));
  const log = join(folder, 'log');
  const file = openSync(log, 'w');
  const child = spawn(
    join(found.folder, 'kueue'),
    [`--config=${config}`, `--kubeconfig=${cluster.kubeconfig}`, '--zap-log-level=2'],
    { stdio: ['ignore', file, file] },
  );
  t.teardown(async () => {
    // Without Kueue, the API server would refuse every pod of the tests that follow.
    await cluster.kubectl(['delete', '--filename=-'], list(asked));
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const said = () => readFileSync(log, 'utf8');
  await until(
    'Kueue is ready',
    SECONDS,
    async () => {
      if (child.exitCode !== null) throw new Error(`Kueue ended:\n${said()}`);
      const answer = await fetch(`http://127.0.0.1:${health}/readyz`).catch(() => null);
      return answer?.ok === true ? true : null;
    },
    said,
  );
}

const configuration = (folder: string, port: number, health: number) => ({
  apiVersion: 'config.kueue.x-k8s.io/v1beta2',
  kind: 'Configuration',
  namespace: NAMESPACE,
  health: { healthProbeBindAddress: `127.0.0.1:${health}` },
  metrics: { bindAddress: '0' },
  webhook: { host: '127.0.0.1', port, certDir: folder },
  leaderElection: { leaderElect: false },
  integrations: { frameworks: ['batch/job'] },
  featureGates: { VisibilityOnDemand: false },
});

const secretOf = ({ ca, caKey, certificate, key }: CertificateFiles) => {
  const data = Object.entries({ 'ca.crt': ca, 'ca.key': caKey, 'tls.crt': certificate, 'tls.key': key });
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'kueue-webhook-server-cert', namespace: NAMESPACE },
    stringData: Object.fromEntries(data.map(([name, file]) => [name, readFileSync(file, 'utf8')])),
  };
};

/** Kueue runs outside the cluster, so that no Service leads to it. */
const urlOf = (port: number, path: string) => ({ url: `https://127.0.0.1:${port}${path}` });

function definitions(folder: string, port: number): object[] {
  return readdirSync(join(folder, 'crds')).map((name) => {
    const definition: unknown = parse(readFileSync(join(folder, 'crds', name), 'utf8'));
    if (!Value.Check(Definition, definition)) throw new Error(`${name} is no definition`);
    if (!CONVERTED.some((plural) => definition.metadata.name.startsWith(`${plural}.`))) return definition;
    const webhook = { clientConfig: urlOf(port, '/convert'), conversionReviewVersions: ['v1'] };
    return { ...definition, spec: { ...definition.spec, conversion: { strategy: 'Webhook', webhook } } };
  });
}

function webhooks(folder: string, port: number): object[] {
  return parseAllDocuments(readFileSync(join(folder, 'webhooks.yaml'), 'utf8')).flatMap((document) => {
    const each: unknown = document.toJS();
    if (!Value.Check(Webhooks, each)) return [];
    return {
      ...each,
      metadata: { ...each.metadata, name: `kueue-${each.metadata.name}` },
      webhooks: each.webhooks.map((webhook) => ({
        ...webhook,
        clientConfig: urlOf(port, webhook.clientConfig.service.path),
      })),
    };
  });
}
