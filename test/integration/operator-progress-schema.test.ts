import fc from 'fast-check';
import t from 'tap';
import Value from 'typebox/value';
import { isApiError } from '../../operator/kube/api-error.ts';
import { ApiClient } from '../../operator/kube/api-client.ts';
import { loadKubeConfig } from '../../operator/kube/kube-config.ts';
import { collectionPath, objectPath, RESOURCE } from '../../operator/objects/resources.ts';
import { reconcile } from '../../operator/reconcile/reconcile.ts';
import { progressStatus } from '../../operator/status/progress-status.ts';
import { JobProgress } from '../../crds/facts/progress.ts';
import { REFUSAL_REASONS } from '../../crds/facts/refusal.ts';
import { validJob } from '../fixtures/invalid-jobs.ts';
import { watchCluster } from '../support/operator-cluster.ts';
import { SETTINGS } from '../support/planned-job.ts';
import { noApiServer, startControlPlane } from '../support/control-plane.ts';
import { sampleProgress } from '../support/sample-progress.ts';

const SEED = Number(process.env['FEDBIOT_TEST_SEED'] ?? 14);
const RUNS = 600;

/** Values on both sides of every bound, and any other number in JSON. */
const whole = fc.oneof(
  fc.constantFrom(0, 1, -1, -0, 0.5, 1e9, 1e9 + 1, 2e9, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 1e300),
  fc.nat(),
);
const real = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 5e-324, 1e308, -1e308, Number.MAX_VALUE, 2 ** 53, 1e21, 0.1 + 0.2),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const part = fc.oneof(fc.constantFrom(0, 1, -0, 5e-324, 1 - 2 ** -53, 1.1), fc.double({ noNaN: true, min: 0, max: 1 }));
const orNull = <T>(values: fc.Arbitrary<T>) => fc.option(values, { freq: 8 });

const at = fc.oneof(
  fc.constantFrom(
    '2026-01-01T00:00:00Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z', '9999-12-31T24:00:00Z', '2026-02-30T00:00:00Z', '2025-02-29T12:00:00.5Z',
    '2026-12-31T23:59:60Z', '+275760-09-13T00:00:00Z', '-000001-01-01T00:00:00Z', '2026-01-01', '2026-01-01T00:00:00', '2026-01-01T00:00:00+25:00', '0001-01-01T00:00:00.123456789Z', '',
  ), // prettier-ignore
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
);

const score = fc.record({ accuracy: orNull(part), f1: part, loss: real }, { requiredKeys: ['accuracy', 'loss'] });
const role = fc.record({ cpuSeconds: real, gpuSeconds: real, tokens: whole, peakMemoryBytes: whole });
const saving = fc.record({ here: real, fullModel: real, saved: real });

const progress = fc.record({
  at,
  phase: fc.constantFrom('Preparing', 'Aligning', 'Training', 'Aggregating', 'Evaluating', 'Finished'),
  round: whole,
  finishedRounds: whole,
  rounds: whole,
  clients: fc.record({ selected: whole, reported: whole, dropped: whole, refused: whole }),
  refusals: fc.dictionary(fc.constantFrom(...REFUSAL_REASONS, 'constructor', 'other'), whole),
  alignmentLoss: orNull(real),
  publicAlignmentGap: orNull(real),
  localLoss: orNull(real),
  evaluation: orNull(fc.record({ round: whole, base: score, adapEmu: score, adapFu: score })),
  cost: orNull(
    fc.record({
      server: role,
      clients: role,
      bytes: fc.record({ bundle: whole, down: whole, up: whole }),
      savings: fc.record({ bytes: saving, flops: saving }),
    }),
  ),
  memory: fc.record({ server: whole, client: whole }),
  adapterSha256: orNull(fc.constantFrom('a'.repeat(64), 'g'.repeat(64), '')),
});

/** A normal progress with one or two fields replaced by random values, so that many are accepted. */
const ordinary: JobProgress = {
  ...sampleProgress(2),
  finishedRounds: 1,
  clients: { selected: 4, reported: 1, dropped: 1, refused: 1 },
  refusals: { late: 1 },
  alignmentLoss: 0.5,
  publicAlignmentGap: 0.25,
};
const changed = fc
  .tuple(progress, fc.subarray(Object.keys(ordinary), { minLength: 1, maxLength: 2 }))
  .map(([drawn, names]): unknown => ({
    ...ordinary,
    ...Object.fromEntries(Object.entries(drawn).filter(([name]) => names.includes(name))),
  }));

t.test(
  'progress that the operator accepts is accepted by the API server in the status',
  { skip: noApiServer, timeout: 600_000 },
  async (t) => {
    const plane = await startControlPlane();
    t.teardown(plane.close);
    const api = new ApiClient({ kubeConfig: loadKubeConfig(plane.kubeconfig), request: () => undefined });
    t.teardown(() => api.close());
    await api.json('POST', collectionPath(RESOURCE.fedbiotJob, 'default'), { body: validJob() });
    const path = `${objectPath(RESOURCE.fedbiotJob, 'default', validJob().metadata.name)}/status`;
    const written = async (status: object): Promise<string | null> => {
      try {
        await api.json('PATCH', path, {
          query: { dryRun: 'All', fieldValidation: 'Strict' },
          contentType: 'application/merge-patch+json',
          body: { status },
        });
        return null;
      } catch (error) {
        if (isApiError(error, 422, 400)) return error.message;
        throw error;
      }
    };
    t.match(await written({ rounds: 2e9 }), /rounds/, 'and it does refuse what is not');

    await t.test('if the API server refuses the progress, the job continues', async (t) => {
      const seen = watchCluster(t, plane.kubeconfig);
      await seen.filled();
      const ports = { ...seen.ports, progressOf: () => ({ ...ordinary, rounds: 2e9 }) };
      await reconcile(ports, SETTINGS, 'default', validJob().metadata.name);
      const { status } = JSON.parse(await plane.kubectl(['get', 'fbj', validJob().metadata.name, '--output=json']));
      t.match(status, {
        phase: 'Pending',
        rounds: undefined,
        conditions: [
          { type: 'Running' },
          { type: 'ProgressMirrored', reason: 'ProgressRefused', message: /status\.rounds/ },
        ],
      });
    });

    const counts = { accepted: 0, refused: 0 };
    const holds = fc.asyncProperty(fc.oneof(changed, progress), async (drawn) => {
      // Serialised as in Redis.
      const received = Value.Clean(JobProgress, JSON.parse(JSON.stringify(drawn)));
      if (!Value.Check(JobProgress, received)) return void counts.refused++;
      counts.accepted++;
      const refusal = await written(progressStatus(received));
      if (refusal !== null) throw new Error(refusal);
    });
    await fc.assert(holds, { seed: SEED, numRuns: RUNS });
    t.comment(`seed ${SEED}: ${counts.accepted} accepted, ${counts.refused} refused`);
    t.ok(counts.accepted > RUNS / 10 && counts.refused > RUNS / 10);
  },
);
