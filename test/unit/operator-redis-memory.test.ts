import t from 'tap';
import { fullest, memoryIn } from '../../operator/redis/memory.ts';

t.test('memory as reported by INFO', async (t) => {
  const info = (used: string, max: string) =>
    `# Memory\r\nused_memory:${used}\r\nused_memory_rss:9\r\nmaxmemory_human:1G\r\nmaxmemory:${max}\r\nmaxmemory_policy:noeviction\r\n`;
  t.same(memoryIn(info('1024', '4096')), { used: 1024, max: 4096 });
  t.same(memoryIn(info('1024', '0')), { used: 1024, max: 0 });
  for (const wrong of ['', '-1', '1e3', 'NaN', '9'.repeat(16), '9'.repeat(400)])
    t.equal(memoryIn(info(wrong, '0')), null, wrong);
  t.equal(memoryIn('used_memory:1024\r\n'), null);
  t.equal(memoryIn(''), null);
});

t.test('the fullest node is the one with the least room for its size', async (t) => {
  const [roomy, tight, boundless, larger] = [
    { used: 50, max: 1000 },
    { used: 40, max: 50 },
    { used: 900, max: 0 },
    { used: 901, max: 0 },
  ];
  t.equal(fullest([roomy, tight, boundless]), tight);
  t.equal(fullest([boundless, larger]), larger);
  t.equal(fullest([]), null);
});
