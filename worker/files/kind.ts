/** The actual kind of a file, in words that follow "is", and what to do about it. */
export interface FileKind {
  readonly what: string;
  readonly hint: string;
}

/** Number of first bytes from which every kind is recognised. */
export const HEAD_BYTES = 512;

const CONVERT = "Convert it, for example with Python's datasets.load_dataset(...).to_json('data.jsonl').";
const UNPACK = 'Unpack it first.';
const RESAVE = 'Save it as UTF-8, for example with iconv -f UTF-16 -t UTF-8.';
const AGAIN = 'Copy or download it again.';
const PICKLE =
  'A pickle can run code and is never read: save the weights as safetensors, with save_pretrained in Python.';

/** The first bytes of each format, as Latin-1. Of two that begin alike, the longer comes first. */
const SIGNATURES: readonly (readonly [begins: string, what: string, hint: string])[] = [
  [
    'version https://git-lfs.github.com/spec/',
    'a Git LFS pointer instead of the file itself',
    'Fetch the file: git lfs install, then git lfs pull in its repository; or download it again.',
  ],
  [
    '\x1f\x8b',
    'compressed with gzip',
    'Add .gz to its name, then gunzip it. Data files may stay compressed, as .jsonl.gz or .json.gz.',
  ],
  ['BZh', 'compressed with bzip2', 'Decompress it with bunzip2.'],
  ['\xfd7zXZ\0', 'compressed with xz', 'Decompress it with unxz.'],
  ['\x28\xb5\x2f\xfd', 'compressed with zstd', 'Decompress it with unzstd.'],
  ['PK\x03\x04', 'a zip archive', UNPACK],
  ['PK\x05\x06', 'an empty zip archive', UNPACK],
  ["7z\xbc\xaf'\x1c", 'a 7z archive', UNPACK],
  ['PAR1', 'a Parquet file', CONVERT],
  ['ARROW1', 'an Arrow file', CONVERT],
  ['SQLite format 3\0', 'an SQLite database', CONVERT],
  ['GGUF', 'a GGUF file', 'Use the model as it was before conversion: config.json and *.safetensors.'],
  ['\x89HDF', 'an HDF5 file', 'Use the model as safetensors.'],
  ['\x93NUMPY', 'a NumPy array', 'Use safetensors.'],
  ['%PDF', 'a PDF document', 'Give the file itself.'],
  ['\xff\xfe\0\0', 'text in UTF-32', RESAVE.replace('16', '32')],
  ['\xff\xfe', 'text in UTF-16', RESAVE],
  ['\xfe\xff', 'text in UTF-16', RESAVE],
];

/** Protocols 2 to 5 of pickle. */
const PICKLED = /^\x80[\x02-\x05][\x8a\x95(}\]Xc)]/;
/** In UTF-16, every second byte of ASCII text is zero. */
const UTF16_WITHOUT_MARK = /^(?:[\t\n\r -~]\0){2}|^(?:\0[\t\n\r -~]){2}/;
const WEB_PAGE = /^\s*(?:<!doctype html|<html|<head|<!--)/i;
const XML = /^\s*<\?xml|^\s*<Error>/;
/** Eight bytes with the header's length, then the header as a JSON object. */
const SAFETENSORS = /^[^]{5}\0\0\0\{"/;

/**
 * The kind of a file that should be text or safetensors, from its first bytes (HEAD_BYTES, or all if it is shorter);
 * null if they match no other kind.
 */
export function kindOf(head: Uint8Array, expected: 'text' | 'safetensors'): FileKind | null {
  if (head.byteLength === 0) return { what: 'empty', hint: AGAIN };
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, HEAD_BYTES)).toString('latin1');
  const found = SIGNATURES.find(([begins]) => text.startsWith(begins));
  if (found) {
    const [begins, what, hint] = found;
    // PyTorch's format since 1.6: a zip archive with a pickle.
    return begins.startsWith('PK') && text.includes('data.pkl')
      ? { what: 'a PyTorch pickle', hint: PICKLE }
      : { what, hint };
  }
  if (PICKLED.test(text)) return { what: 'a Python pickle', hint: PICKLE };
  if (UTF16_WITHOUT_MARK.test(text)) return { what: 'text in UTF-16', hint: RESAVE };
  const begin = text.replace(/^\xef\xbb\xbf/, '');
  if (WEB_PAGE.test(begin)) {
    return {
      what: 'a web page',
      hint: 'Download the file itself, not the page that shows it; a gated file needs a login or token.',
    };
  }
  if (XML.test(begin)) return { what: 'XML, perhaps the error response of a server', hint: 'Download the file again.' };
  if (/^\0{9}\0*$/.test(text)) return { what: 'filled with zeros, as after an interrupted copy', hint: AGAIN };
  if (expected === 'text')
    return SAFETENSORS.test(text) ? { what: 'a safetensors file', hint: 'Give the file that belongs here.' } : null;
  return /^[\t\n\r -~]{9}/.test(text)
    ? { what: `text that begins with ${JSON.stringify(text.slice(0, 40))}`, hint: AGAIN }
    : null;
}
