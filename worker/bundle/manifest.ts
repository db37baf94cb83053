import Type from 'typebox';
import type { Static } from 'typebox';
import Value from 'typebox/value';
import { errorMessage, UserError } from '../../crds/facts/user-error.ts';

/** The file that lists a bundle's other files. Its SHA-256 (hex) is the bundle's id. */
export const MANIFEST_FILE = 'bundle.json';
export const WEIGHTS_FILE = 'model.safetensors';

/** The files that a bundle may contain besides its manifest. No other name is written or served. */
export const BUNDLE_FILES = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
  'chat_template.jinja',
  WEIGHTS_FILE,
] as const;

/** Maximum size of a manifest in bytes. */
export const MAX_MANIFEST_BYTES = 1 << 18;
/** Maximum size of a file that is read into memory, which is every file but the weights. */
const MAX_TEXT_BYTES = 1 << 28;
const MAX_WEIGHTS_BYTES = 2 ** 42;

const layers = Type.Array(Type.Integer({ minimum: 0, maximum: 4095 }), { maxItems: 4096 });

const BundleManifest = Type.Object(
  {
    version: Type.Literal(1),
    split: Type.Object(
      { front: layers, teacher: layers, emulator: layers, tail: layers, dropped: layers },
      { additionalProperties: false },
    ),
    files: Type.Array(
      Type.Object(
        {
          name: Type.Enum([...BUNDLE_FILES]),
          bytes: Type.Integer({ minimum: 0, maximum: MAX_WEIGHTS_BYTES }),
          sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
        },
        { additionalProperties: false },
      ),
      { maxItems: BUNDLE_FILES.length },
    ),
  },
  { additionalProperties: false },
);

export type BundleManifest = Static<typeof BundleManifest>;
export type BundleFile = BundleManifest['files'][number];

/**
 * Parses an untrusted manifest. The caller checks that it has the expected id.
 * @throws UserError if it is not a bundle's manifest, names a file twice or lacks one, or gives a text file an
 * excessive size
 */
export function parseManifest(bytes: Uint8Array): BundleManifest {
  let value: unknown;
  try {
    if (bytes.byteLength > MAX_MANIFEST_BYTES) throw new Error(`it has ${bytes.byteLength} bytes`);
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw broken(errorMessage(cause));
  }
  if (!Value.Check(BundleManifest, value)) throw broken('its fields are invalid');
  const names = new Set(value.files.map(({ name }) => name));
  if (names.size < value.files.length) throw broken('it names a file twice');
  for (const name of ['config.json', 'tokenizer.json', WEIGHTS_FILE] as const) {
    if (!names.has(name)) throw broken(`it lacks ${name}`);
  }
  const large = value.files.find(({ name, bytes: size }) => name !== WEIGHTS_FILE && size > MAX_TEXT_BYTES);
  if (large) throw broken(`${large.name} has ${large.bytes} bytes`);
  return value;
}

function broken(what: string): UserError {
  return new UserError(`${MANIFEST_FILE} is not the manifest of an emulator bundle: ${what}`, {
    hint: 'Server and clients must run the same version.',
  });
}
