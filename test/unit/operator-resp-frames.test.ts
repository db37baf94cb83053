// The operator's reader of Redis's protocol: well-formed frames within limits are reported one by one, however the
// input is split; anything else is refused.
import fc from 'fast-check';
import t from 'tap';
import { BadFrame, FrameReader } from '../../operator/redis/resp-frames.ts';
import type { Frame } from '../../operator/redis/resp-frames.ts';

function read(chunks: readonly Buffer[], bytes = 1000): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader({ bytes: () => bytes, items: 20, depth: 3 }, (frame) => frames.push(frame));
  for (const chunk of chunks) reader.write(chunk);
  return frames;
}

const whole = (text: string, bytes?: number) => read([Buffer.from(text)], bytes);

t.test('frames are described by their shape and first word', async (t) => {
  for (const [text, shape, word] of [
    ['+OK\r\n', '+', ''],
    ['-ERR no\r\n', '-', ''],
    [':-12\r\n', ':', ''],
    ['$0\r\n\r\n', '$', ''],
    ['$-1\r\n', '_', ''],
    ['*-1\r\n', '_', ''],
    ['*0\r\n', '*', ''],
    ['$5\r\na\r\nbc\r\n', '$', 'a\r\nbc'],
    ['*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n', '*$$$', 'message'],
    ['*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n', '*$$:', 'subscribe'],
    ['*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$-1\r\n', '*$*', '0'],
    ['*4\r\n*1\r\n*0\r\n$2\r\nab\r\n_\r\n'.replace('_', '$-1') + ':1\r\n', '**$_:', 'ab'],
    [`$20\r\n${'x'.repeat(20)}\r\n`, '$', 'x'.repeat(16)],
    [`*5\r\n${':1\r\n'.repeat(5)}`, '*::::', ''],
  ] as const)
    t.strictSame(whole(text), [{ shape, word }], text);
});

t.test('a frame that is not RESP2, or too large, is refused as soon as it is announced', async (t) => {
  for (const [text, words] of [
    ['HTTP/1.1 400 Bad Request\r\n', /does not speak/],
    ['_\r\n', /does not speak/],
    ['%1\r\n', /does not speak/],
    [':1e3\r\n', /does not speak/],
    ['$-2\r\n', /does not speak/],
    ['$+1\r\n', /does not speak/],
    ['*1.5\r\n', /does not speak/],
    ['$9999999999999999\r\n', /does not speak/],
    ['+OK\n', /does not end/],
    ['+O\rK\r\n', /does not end/],
    ['\n', /does not end/],
    ['$4000000000\r\n', /4000000015 bytes or more/],
    ['$999\r\n', /bytes or more/],
    [`*3\r\n${`$400\r\n${'x'.repeat(400)}\r\n`.repeat(3)}`, /bytes or more/],
    [`+${'x'.repeat(9000)}`, /a line has more/],
    ['*1000000000\r\n', /1000000000 items/],
    ['*2\r\n*10\r\n', null],
    ['*2\r\n*19\r\n', /21 items/],
    ['*1\r\n*1\r\n*1\r\n*1\r\n', /levels deep/],
  ] as const) {
    if (words === null) t.doesNotThrow(() => whole(text), text);
    else t.throws(() => whole(text), { name: 'BadFrame', message: words }, text);
  }
  t.equal(whole('+OK\r\n'.repeat(1000)).length, 1000, 'bounds are those of a frame');
});

const frame: fc.Arbitrary<string> = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    fc.integer().map((number) => `:${number}\r\n`),
    fc.string({ unit: 'binary-ascii', maxLength: 20 }).map((text) => `$${text.length}\r\n${text}\r\n`),
    fc.constantFrom('+OK\r\n', '-ERR x\r\n', '$-1\r\n', '*-1\r\n', '*0\r\n'),
    fc.array(tie('value'), { maxLength: 3 }).map((items) => `*${items.length}\r\n${items.join('')}`),
  ),
})).value;

const cut = (bytes: Buffer, lengths: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const length of [...lengths, bytes.length]) chunks.push(bytes.subarray(at, (at += length)));
  return chunks;
};

t.test('frames may be split anywhere', async () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 10 }), fc.array(fc.nat(8), { maxLength: 60 }), (frames, lengths) => {
      const bytes = Buffer.from(frames.join(''));
      const [once, pieces] = [read([bytes]), read(cut(bytes, lengths))];
      return once.length === frames.length && JSON.stringify(once) === JSON.stringify(pieces);
    }),
  );
});

t.test('any input is read or refused', async () => {
  const piece = fc.oneof(
    frame,
    fc.string({ unit: 'binary', maxLength: 10 }),
    fc.constantFrom('$', '*', '\r\n', '\r', '\n', '-1', '9', '$9\r\n'),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), fc.array(fc.nat(8), { maxLength: 60 }), (pieces, lengths) => {
      try {
        read(cut(Buffer.from(pieces.join('')), lengths));
        return true;
      } catch (error) {
        return error instanceof BadFrame;
      }
    }),
  );
});
