// Files of records: JSON, JSON Lines, and malformed files.
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { readRecords } from '../../worker/data/record-file.ts';
import { UserError } from '../../crds/facts/user-error.ts';

const bytes = (...parts: (string | number[])[]) => Buffer.concat(parts.map((part) => Buffer.from(part as string)));

t.test('records of well-formed files, with the line each starts on', async (t) => {
  const cases: [string, string, Buffer, [number, unknown][]][] = [
    [
      'lines',
      'a.jsonl',
      bytes('{"a":1}\n{"a":2}\n'),
      [
        [1, 1],
        [2, 2],
      ],
    ],
    [
      'no newline at the end',
      'a.jsonl',
      bytes('{"a":1}\n{"a":2}'),
      [
        [1, 1],
        [2, 2],
      ],
    ],
    [
      'byte order mark, CRLF, blank lines',
      'a.jsonl',
      bytes([0xef, 0xbb, 0xbf], '\r\n{"a":1}\r\n  \r\n\r\n{"a":2}\r\n'),
      [
        [2, 1],
        [5, 2],
      ],
    ],
    [
      'gzip',
      'a.jsonl.gz',
      gzipSync('{"a":1}\n{"a":2}'),
      [
        [1, 1],
        [2, 2],
      ],
    ],
    ['an array in gzip', 'a.json.gz', gzipSync('[{"a":1}]'), [[1, 1]]],
    [
      'an array',
      'a.json',
      bytes('\n[\n  {"a": 1},\n\n  {\n    "a": "x,]}[{\\"\\\\"\n  }, {"a": [[], {}, [1, {"b": 2}]]}\n]\n'),
      [
        [3, 1],
        [5, 'x,]}[{"\\'],
        [7, [[], {}, [1, { b: 2 }]]],
      ],
    ],
    [
      'lines in a .json file',
      'a.json',
      bytes('{"a":1}\n{"a":2}'),
      [
        [1, 1],
        [2, 2],
      ],
    ],
    ['one object over several lines', 'a.json', bytes('{\n  "a": 1,\n  "b": {}\n}\n'), [[1, 1]]],
    [
      'separators of Unicode within a line',
      'a.jsonl',
      bytes('{"a":"x\u2028y\u0085z"}\n{"a":"\ufeff"}'),
      [
        [1, 'x\u2028y\u0085z'],
        [2, '\ufeff'],
      ],
    ],
  ];
  for (const [name, file, content, wanted] of cases) {
    t.same(
      readRecords(file, content).map(({ file, line, fields }) => [file, line, fields['a']]),
      wanted.map((w) => [file, ...w]),
      name,
    );
  }
});

t.test('malformed files are refused with file and line', async (t) => {
  const gzipped = gzipSync('{"a":1}\n'.repeat(100));
  const cases: [string, string, Buffer, RegExp][] = [
    ['empty', 'a.jsonl', bytes(''), /^a\.jsonl contains no records/],
    ['blank', 'a.jsonl', bytes('\n \r\n\t\n'), /^a\.jsonl contains no records/],
    ['empty array', 'a.json', bytes('[ ]'), /^a\.json contains no records/],
    ['broken line', 'a.jsonl', bytes('{"a":1}\n\n{"a":\n'), /^a\.jsonl:3: not JSON/],
    ['two objects in a line', 'a.jsonl', bytes('{"a":1}{"a":2}'), /^a\.jsonl:1: not JSON/],
    ['a number', 'a.jsonl', bytes('{"a":1}\n7'), /^a\.jsonl:2: not a JSON object/],
    ['null in an array', 'a.json', bytes('[{"a":1},\nnull]'), /^a\.json:2: not a JSON object/],
    ['broken array', 'a.json', bytes('[{"a":1},\n{"a" 2}]'), /^a\.json:2: not JSON/],
    ['array cut off', 'a.json', bytes('[{"a":1},\n{"a":2}'), /^a\.json:\d: not JSON/],
    [
      'invalid UTF-8 in a line',
      'a.jsonl',
      bytes('{"a":1}\n{"a":"', [0xc3, 0x28], '"}\n'),
      /^a\.jsonl:2: not valid UTF-8/,
    ],
    ['invalid UTF-8 in an array', 'a.json', bytes('[{"a":1},\n\n{"a":"', [0xff], '"}]'), /^a\.json:3: not valid UTF-8/],
    ['UTF-16', 'a.jsonl', Buffer.from('\ufeff{"a":1}', 'utf16le'), /^a\.jsonl is text in UTF-16, not JSON/],
    ['truncated gzip', 'a.jsonl.gz', gzipped.subarray(0, gzipped.length - 12), /^a\.jsonl\.gz cannot be decompressed/],
    ['gzip by another name', 'a.jsonl', gzipped, /^a\.jsonl is compressed with gzip, not JSON/],
    [
      'a pointer, gzipped',
      'a.jsonl.gz',
      gzipSync('version https://git-lfs.github.com/spec/v1\n'),
      /^a\.jsonl\.gz is a Git LFS pointer/,
    ],
    ['a page by the name of gzip', 'a.jsonl.gz', bytes('<!DOCTYPE html>'), /despite its name, but a web page/],
    ['not gzip', 'a.jsonl.gz', bytes('{"a":1}'), /^a\.jsonl\.gz is not compressed with gzip, despite its name/],
  ];
  for (const [name, file, content, message] of cases) {
    t.throws(() => readRecords(file, content), { constructor: UserError, message }, name);
  }
});
