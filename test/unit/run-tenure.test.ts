import t from 'tap';
import { FolderLost } from '../../worker/files/folder-lock.ts';
import { watchTenure } from '../../worker/run/pod/tenure.ts';
import { Fenced } from '../../worker/transport/redis/fence.ts';

const never = () => new Promise<never>(() => undefined);
const held = { check: () => undefined };

t.test('a replaced server detects it by the fence', async (t) => {
  let asked = 0;
  const check = async () => {
    if (++asked === 1) throw new Error('Redis is busy');
    throw new Fenced(1, '2');
  };
  const { lost, stop } = watchTenure({ check }, held);
  await t.rejects(lost, { name: 'Fenced' });
  t.equal(asked, 2, 'that Redis does not answer is no loss');
  stop();
});

t.test('if Redis does not answer, a replaced server detects it by the lock of its folder', async (t) => {
  let asked = 0;
  const check = () => {
    if (++asked === 1) throw new Error('the disk does not answer');
    throw new FolderLost('taken over');
  };
  const { lost, stop } = watchTenure({ check: never }, { check });
  await t.rejects(lost, { name: 'FolderLost' });
  t.equal(asked, 2);
  stop();
});
