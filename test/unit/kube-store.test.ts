import t from 'tap';
import { Store } from '../../operator/kube/store.ts';
import type { Stored } from '../../operator/kube/store.ts';

const object = (
  name: string,
  resourceVersion: string,
  { uid = name, namespace = 'lab', job = 'tune' } = {},
): Stored => ({
  metadata: { name, namespace, uid, resourceVersion, labels: { job } },
});

function world() {
  const told: string[] = [];
  const tell = (what: string) => (object: Stored) =>
    void told.push(`${what} ${object.metadata.name} ${object.metadata.uid}`);
  const store = new Store<Stored>({
    jobOf: ({ metadata }) => metadata.labels?.['job'] ?? null,
    changed: tell('changed'),
    removed: tell('removed'),
  });
  const taken = () => told.splice(0);
  return { store, taken };
}

t.test('an object missing from a new list is reported as deleted, in its namespace alone', async (t) => {
  const { store, taken } = world();
  store.replace([object('a', '1'), object('b', '1')], 'lab');
  store.replace([object('c', '1', { namespace: 'other' })], 'other');
  taken();
  store.replace([object('b', '1')], 'lab');
  t.strictSame(taken(), ['removed a a', 'changed b b']);
  t.strictSame(
    store
      .all()
      .map(({ metadata }) => metadata.name)
      .sort(),
    ['b', 'c'],
  );
  store.replace([], null);
  t.strictSame(store.all(), []);
});

t.test('an object that was created again under its name is another one', async (t) => {
  const { store, taken } = world();
  store.put(object('a', '1', { uid: 'first' }));
  store.put(object('a', '9', { uid: 'second' }));
  t.strictSame(taken(), ['changed a first', 'removed a first', 'changed a second']);
  store.drop({ namespace: 'lab', name: 'a', uid: 'first' });
  t.equal(store.get('lab', 'a')?.metadata.uid, 'second', 'the end of the first says nothing of the second');
});

t.test('objects are found by their job, also after they have moved to another', async (t) => {
  const { store } = world();
  store.put(object('a', '1'));
  store.put(object('b', '1'));
  store.put(object('b', '2', { job: 'other' }));
  const names = (job: string) => store.ofJob(job).map(({ metadata }) => metadata.name);
  t.strictSame([names('tune'), names('other')], [['a'], ['b']]);
  store.drop({ namespace: 'lab', name: 'a', uid: 'a' });
  t.strictSame(names('tune'), []);
});

t.test('an object written here is stored, unless a newer state is known', async (t) => {
  const { store, taken } = world();
  store.wrote(object('a', '5'));
  t.equal(store.get('lab', 'a'), null, 'it may have gone meanwhile');
  store.put(object('a', '99'));
  taken();
  store.wrote(object('a', '100'));
  t.equal(store.get('lab', 'a')?.metadata.resourceVersion, '100', 'numbers, not words');
  store.wrote(object('a', '99'));
  t.equal(store.get('lab', 'a')?.metadata.resourceVersion, '100');
  store.wrote(object('a', '101', { uid: 'another' }));
  t.equal(store.get('lab', 'a')?.metadata.uid, 'a');
  t.strictSame(taken(), []);
});

t.test('an object created here is assumed to exist until the watch reports it', async (t) => {
  const { store, taken } = world();
  store.made(object('a', '1'));
  t.equal(store.get('lab', 'a')?.metadata.resourceVersion, '1');
  t.strictSame([store.all(), taken()], [[], []]);
  store.put(object('a', '2'));
  store.drop({ namespace: 'lab', name: 'a', uid: 'a' });
  t.equal(store.get('lab', 'a'), null);
  store.made(object('a', '3', { uid: 'first' }));
  store.put(object('a', '4', { uid: 'second' }));
  store.drop({ namespace: 'lab', name: 'a', uid: 'second' });
  t.equal(store.get('lab', 'a'), null, 'what is seen is what counts');
});
