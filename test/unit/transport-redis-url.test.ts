// URLs of Redis that the operator and worker pods accept. The accepted syntax is listed here; no other text reaches a
// client.
import fc from 'fast-check';
import t from 'tap';
import { passwordsIn, readRedisUrl } from '../../worker/transport/redis/redis-url.ts';
import { RedisUnusable } from '../../worker/transport/redis/unusable.ts';

const plain = { host: 'redis', port: 6379, isTls: false, database: 0 };

t.test('the parts of a URL', async (t) => {
  for (const [url, endpoint] of [
    ['redis://redis', plain],
    ['redis://redis/', plain],
    ['redis://redis:6379\n', plain],
    ['redis://redis:6379\r\n', plain],
    ['redis://:@redis', plain],
    ['rediss://redis:6380/15', { ...plain, port: 6380, isTls: true, database: 15 }],
    ['REDISS://redis', { ...plain, isTls: true }],
    [
      'redis://:secret@fedbiot-redis.fedbiot-system.svc',
      { ...plain, host: 'fedbiot-redis.fedbiot-system.svc', password: 'secret' },
    ],
    ['redis://me:@redis', { ...plain, username: 'me', password: '' }],
    [
      'redis://me:p%40s%25%3A%2F%C3%A9@10.0.0.1:1',
      { ...plain, host: '10.0.0.1', port: 1, username: 'me', password: 'p@s%:/é' },
    ],
    ['redis://m%3Ae:a:b@c@redis', { ...plain, username: 'm:e', password: 'a:b@c' }],
    ['redis://:é^|[]{}"@redis', { ...plain, password: 'é^|[]{}"' }],
    ['redis://[::1]:6380', { ...plain, host: '::1', port: 6380 }],
    ['redis://[fd00::1]', { ...plain, host: 'fd00::1' }],
  ] as const)
    t.strictSame(readRedisUrl(url), endpoint, url);
});

t.test('any other text is refused with a hint, and never quoted', async (t) => {
  for (const [url, words] of [
    ['', /does not begin/],
    ['secret', /does not begin/],
    ['http://user:secret@redis', /does not begin/],
    ['redis:redis', /does not begin/],
    ['redis:6379', /does not begin/],
    ['/var/run/secret.sock', /does not begin/],
    [' redis://:secret@redis', /white space/],
    ['redis://:secret@redis ', /white space/],
    ['redis://:secret@redis\n\n', /white space/],
    ['redis://:sec ret@redis', /white space/],
    ['redis://:sec\u0000ret@redis', /control character/],
    ['redis://:sec%0D%0Aret@redis', /control character/],
    ['redis://:secret%@redis', /%/],
    ['redis://:sec%ret@redis', /%/],
    ['redis://sec%zzret:x@redis', /%/],
    ['redis://:sec%C3ret@redis', /%/],
    ['redis://:sec/ret@redis', /percent-encoded/],
    ['redis://:sec?ret@redis', /percent-encoded/],
    ['redis://:sec#ret@redis', /percent-encoded/],
    ['redis://secret@redis', /without a password/],
    ['redis://', /names no host/],
    ['redis://:secret@', /names no host/],
    ['redis://:6379', /names no host/],
    ['redis://re dis', /white space/],
    ['redis://re%64is', /names no host/],
    ['redis://redis,other', /names no host/],
    ['redis://[::1', /names no host/],
    ['redis://[fe80::1%25eth0]', /names no host/],
    ['redis://[redis]', /names no host/],
    [`redis://${'a'.repeat(254)}`, /names no host/],
    ['redis://redis:', /port/],
    ['redis://redis:0', /port/],
    ['redis://redis:65536', /port/],
    ['redis://redis:6379x', /port/],
    ['redis://redis:6379:6380', /port|host/],
    ['redis://redis:secret', /port/],
    ['redis://redis/-1', /database/],
    ['redis://redis/one', /database/],
    ['redis://redis/0/1', /database/],
    ['redis://redis/1e3', /database/],
    ['redis://redis/99999', /database/],
    ['redis://redis?connectTimeout=5', /options/],
    ['redis://redis:6379/0?sentinels=x', /options/],
    ['redis://redis?scripts=x', /options/],
    ['redis://redis#secret', /options/],
  ] as const) {
    t.throws(
      () => readRedisUrl(url),
      {
        name: 'RedisUnusable',
        message: words,
        hint: /redis:\/\/user:password@host:6379.*percent-encode.*% as %25, @ as %40/,
      },
      url,
    );
    try {
      readRedisUrl(url);
    } catch (error) {
      t.notMatch(String(error), /sec|ret|zz/, 'the secret is not told');
    }
  }
});

t.test('any text is read or refused, and encoded parts are decoded to the original', async () => {
  const piece = fc.constantFrom(
    'redis://',
    'rediss:',
    ':',
    '@',
    '/',
    '?',
    '#',
    '%',
    '%25',
    '[',
    ']',
    '::1',
    'a',
    '0',
    '6379',
    ' ',
    '\n',
    'é',
    '\u{1F600}',
    '\ud800',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('')),
        fc.string({ unit: 'binary' }),
      ),
      (text) => {
        passwordsIn(text);
        try {
          const { port, host } = readRedisUrl(text);
          return port >= 1 && port <= 65_535 && host !== '';
        } catch (error) {
          if (!(error instanceof RedisUnusable)) throw error;
          return true;
        }
      },
    ),
  );
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/\p{Cc}/u.test(text)),
      (password) => readRedisUrl(`redis://:${encodeURIComponent(password)}@redis`).password === password,
    ),
  );
});

t.test('a password is found whatever is wrong with the rest, so that no log shows it', async (t) => {
  for (const url of [
    'redis://:hunter%2@redis',
    'redis://me:hunter%2@redis:x?y',
    ' redis://:hunter%2@redis',
    'redis:hunter%2@redis',
    'http://me:hunter%2@redis\n',
  ]) {
    t.ok(passwordsIn(url).includes('hunter%2'), url);
  }
  t.strictSame(passwordsIn('redis://me:p%40ss@redis'), ['p%40ss', 'p@ss']);
  t.strictSame(passwordsIn('redis://redis:6379'), []);
});
