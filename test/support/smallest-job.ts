import { stringify } from 'yaml';

/** The shortest valid manifest. */
export const MINIMAL = `apiVersion: fedbiot.io/v1alpha1
kind: FedBiOTJob
metadata:
  name: smallest
spec:
  model: { uri: models/small }
  data:
    train: { uri: private.jsonl }
    public: { uri: public.jsonl }
`;

/** The minimal job with one value set deeply; `undefined` removes the field. */
export function jobWith(path: string, value: unknown): string {
  const job: Record<string, unknown> = {
    apiVersion: 'fedbiot.io/v1alpha1',
    kind: 'FedBiOTJob',
    metadata: { name: 'smallest' },
    spec: {
      model: { uri: 'models/small' },
      data: { train: { uri: 'private.jsonl' }, public: { uri: 'public.jsonl' } },
    },
  };
  const steps = path.split('.');
  let at: object = job;
  for (const step of steps.slice(0, -1)) {
    const next: unknown = Reflect.get(at, step) ?? {};
    if (typeof next !== 'object' || next === null) throw new Error(`${path}: ${step} is not an object`);
    Reflect.set(at, step, next);
    at = next;
  }
  if (value === undefined) Reflect.deleteProperty(at, steps.at(-1)!);
  else Reflect.set(at, steps.at(-1)!, value);
  return stringify(job);
}

/** A spec with only the required fields. */
export const minimalSpec = () => ({ model: { uri: 'm' }, data: { train: { uri: 'a' }, public: { uri: 'b' } } });
