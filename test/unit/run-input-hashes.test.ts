import t from 'tap';
import { lifecycle } from '../../crds/schema/lifecycle.ts';
import { Spec } from '../../crds/schema/spec.ts';
import type { SchemaNode } from '../../crds/json-schema/node.ts';
import { specSha256, trainingSpec } from '../../worker/run/input-hashes.ts';
import { jobObject } from '../support/planned-job.ts';

const { spec } = jobObject({ evaluation: { everyRounds: 2 } });
const hashed = (change: object) => specSha256({ ...spec, ...change });

/** The value with the fields of all its objects in the opposite order. */
const reversed = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).reverse())
    : value;

t.test('the hash depends on what determines the result, not on where, when or how the job is stopped', async (t) => {
  const schema: SchemaNode = Spec;
  const counted = ['method', 'seed', 'model', 'emulator', 'adapter', 'data', 'federation', 'evaluation'];
  const passedOver = ['server', 'client', 'volumes', 'redis', 'checkpoint', ...Object.keys(lifecycle)];
  t.same(
    [...counted, ...passedOver].sort(),
    Object.keys(schema.properties ?? {}).sort(),
    'every field of the spec is one or the other',
  );
  t.same(Object.keys(trainingSpec(spec)).sort(), counted.sort());
  const change = {
    suspend: true,
    managedBy: 'a/b',
    backoffLimit: 1,
    volumes: {},
    checkpoint: { everyRounds: 9, keep: 9 },
  };
  t.equal(hashed({ ...change, client: { ...spec.client, parallelClients: 4 } }), hashed({}));
  t.not(hashed({ seed: 1 }), hashed({}));
  t.equal(
    hashed({ data: { ...spec.data, date: '2026-03-07' } }),
    hashed({}),
    'the day counts by itself, where it is asked for',
  );
  const { data, federation } = JSON.parse(JSON.stringify(spec, reversed));
  t.equal(hashed({ data, federation }), hashed({}), 'the order of fields says nothing');
  t.not(hashed({ federation: { ...spec.federation, rounds: 2 } }), hashed({}));
});
