import { isRecord } from '../../crds/json-schema/node.ts';
import { shown } from '../files/json-value.ts';
import type { JsonObject } from '../files/json-value.ts';
import { TokenizerProblem } from './problem.ts';

/**
 * The rules of tokenizer.json, rewritten so that the JavaScript library applies them like the Rust library behind
 * Python's `tokenizers`. Every supported rule is listed with its fields. Any other rule or field is a TokenizerProblem,
 * because different ids would train the model on text that it never sees again.
 */
export interface Rules {
  readonly normalizer: JsonObject | null;
  readonly preTokenizer: JsonObject | null;
  readonly postProcessor: JsonObject | null;
  readonly decoder: JsonObject | null;
}

/** @param idOf returns the id of an added token or of one of the vocabulary */
export function rulesOf(tokenizer: JsonObject, idOf: (token: string) => number | undefined): Rules {
  return {
    normalizer: rule(tokenizer['normalizer'], 'normalizer', NORMALIZERS),
    preTokenizer: rule(tokenizer['pre_tokenizer'], 'pre_tokenizer', PRE_TOKENIZERS),
    postProcessor: rule(tokenizer['post_processor'], 'post_processor', postProcessors(idOf)),
    decoder: rule(tokenizer['decoder'], 'decoder', DECODERS),
  };
}

/** The fields of a rule, and how it is rewritten. */
interface Kind {
  readonly fields: readonly string[];
  /** The field with its list of nested rules. */
  readonly list?: string;
  readonly spellOut?: (rule: JsonObject, where: string) => JsonObject;
}

type Kinds = Readonly<Record<string, Kind>>;

/** Maximum nesting of rules. Real tokenizers have two levels. */
const MAX_DEPTH = 8;

function rule(value: unknown, where: string, kinds: Kinds, depth = 0): JsonObject | null {
  if (value === null || value === undefined) return null;
  const type = isRecord(value) ? value['type'] : undefined;
  const kind = typeof type === 'string' && Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  if (!isRecord(value) || kind === undefined) {
    throw new TokenizerProblem(`a ${where} of type ${shown(type ?? value)}`);
  }
  const { fields, list, spellOut } = kind;
  const unknown = Object.keys(value).find((name) => name !== 'type' && !fields.includes(name));
  if (unknown !== undefined) throw new TokenizerProblem(`a ${where} of type ${type} with the field ${shown(unknown)}`);
  if (list === undefined) return spellOut ? spellOut(value, where) : value;
  const inner = value[list];
  if (!Array.isArray(inner)) throw new TokenizerProblem(`a ${where} of type ${type} whose ${list} are not a list`);
  if (depth >= MAX_DEPTH) throw new TokenizerProblem(`a ${where} nested more than ${MAX_DEPTH} deep`);
  return { ...value, [list]: inner.map((each) => rule(each ?? {}, where, kinds, depth + 1)) };
}

const NORMALIZERS: Kinds = {
  Sequence: { fields: ['normalizers'], list: 'normalizers' },
  NFC: { fields: [] },
  NFD: { fields: [] },
  NFKC: { fields: [] },
  NFKD: { fields: [] },
  Prepend: { fields: ['prepend'], spellOut: (rule, where) => ({ ...rule, prepend: text(rule, 'prepend', where) }) },
  Replace: { fields: ['pattern', 'content'], spellOut: replace },
};

const BYTE_LEVEL_FIELDS = ['add_prefix_space', 'trim_offsets', 'use_regex'];

/**
 * - The patterns of ByteLevel and Digits use JavaScript's `\s`, which includes U+FEFF (a byte order mark inside a text)
 *   and excludes U+0085, and `\d`, which is ASCII only. A Split's pattern is translated to the Unicode properties that
 *   Rust uses.
 * - Metaspace never splits; Rust's splits before every replacement character unless `split` is false.
 */
const PRE_TOKENIZERS: Kinds = {
  Sequence: { fields: ['pretokenizers'], list: 'pretokenizers' },
  ByteLevel: {
    fields: BYTE_LEVEL_FIELDS,
    spellOut: (rule, where) => {
      if (!flag(rule, 'use_regex', true, where)) return rule;
      const prefix = flag(rule, 'add_prefix_space', true, where) ? [PREFIX_SPACE] : [];
      return sequence(...prefix, split(BYTE_LEVEL_PATTERN), { ...rule, add_prefix_space: false, use_regex: false });
    },
  },
  Digits: {
    fields: ['individual_digits'],
    spellOut: (rule, where) =>
      split(flag(rule, 'individual_digits', false, where) ? String.raw`\p{N}` : String.raw`\p{N}+`),
  },
  Metaspace: { fields: ['replacement', 'prepend_scheme', 'split', 'add_prefix_space', 'str_rep'], spellOut: metaspace },
  Punctuation: {
    fields: ['behavior'],
    spellOut: ({ behavior = 'Isolated' }, where) => {
      if (behavior === 'Isolated') return split(PUNCTUATION);
      if (behavior === 'Contiguous') return split(`${PUNCTUATION}+`);
      throw new TokenizerProblem(`a ${where} of type Punctuation with behavior ${shown(behavior)}`);
    },
  },
  Split: { fields: ['pattern', 'behavior', 'invert'], spellOut: splitRule },
};

function postProcessors(idOf: (token: string) => number | undefined): Kinds {
  return {
    Sequence: { fields: ['processors'], list: 'processors' },
    // It only moves offsets.
    ByteLevel: { fields: BYTE_LEVEL_FIELDS },
    TemplateProcessing: {
      fields: ['single', 'pair', 'special_tokens'],
      spellOut: (rule, where) => {
        const { single, special_tokens: specials } = rule;
        if (!Array.isArray(single)) throw new TokenizerProblem(`a ${where} whose single is not a list`);
        for (const piece of single) {
          if (isRecord(piece) && isRecord(piece['Sequence']) && piece['Sequence']['id'] === 'A') continue;
          const name = isRecord(piece) && isRecord(piece['SpecialToken']) ? piece['SpecialToken']['id'] : undefined;
          const special =
            typeof name === 'string' && isRecord(specials) && Object.hasOwn(specials, name)
              ? specials[name]
              : undefined;
          if (typeof name !== 'string' || !isRecord(special))
            throw new TokenizerProblem(`a ${where} with the piece ${shown(piece)}`);
          const { ids, tokens } = special;
          // The library looks up the token, whereas Rust uses the id in the file.
          if (shown(tokens) !== shown([name]) || shown(ids) !== shown([idOf(name)])) {
            throw new TokenizerProblem(
              `a ${where} whose special token ${shown(name)} is ${shown(ids)}, not its id ${shown(idOf(name))}`,
            );
          }
        }
        return rule;
      },
    },
  };
}

const DECODERS: Kinds = {
  Sequence: { fields: ['decoders'], list: 'decoders' },
  ByteLevel: { fields: BYTE_LEVEL_FIELDS },
  ByteFallback: { fields: [] },
  Fuse: { fields: [] },
  Strip: { fields: ['content', 'start', 'stop'] },
  Replace: { fields: ['pattern', 'content'], spellOut: replace },
  Metaspace: {
    fields: ['replacement', 'prepend_scheme', 'split', 'add_prefix_space', 'str_rep'],
    // A space is removed from the beginning only if one was added there.
    spellOut: (rule, where) => {
      const { replacement, prepend_scheme: scheme } = metaspaceFields(rule, where);
      return scheme === 'never'
        ? { type: 'Replace', pattern: { String: replacement }, content: ' ' }
        : { type: 'Metaspace', replacement };
    },
  },
};

/** GPT-2's pattern, the default of ByteLevel. */
const BYTE_LEVEL_PATTERN = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
/** Unicode's punctuation, and other symbols that count as punctuation in ASCII. */
const PUNCTUATION = '[\\p{P}$+<=>^`|~]';
/** Metaspace with a space as its replacement character: adds a space before a text that does not begin with one. */
const PREFIX_SPACE = { type: 'Metaspace', replacement: ' ', prepend_scheme: 'always', split: false };

function metaspace(rule: JsonObject, where: string): JsonObject {
  const fields = metaspaceFields(rule, where);
  const { replacement: space } = fields;
  return fields.split ? sequence(fields, split(`${space}[^${space}]*|[^${space}]+`)) : fields;
}

function metaspaceFields(rule: JsonObject, where: string) {
  const { replacement = '▁', prepend_scheme: scheme = 'always' } = rule;
  if (typeof replacement !== 'string' || !/^[^\\\]^-]$/u.test(replacement)) {
    throw new TokenizerProblem(`a ${where} of type Metaspace with the replacement ${shown(replacement)}`);
  }
  if (scheme !== 'always' && scheme !== 'first' && scheme !== 'never') {
    throw new TokenizerProblem(`a ${where} of type Metaspace with prepend_scheme ${shown(scheme)}`);
  }
  if (!flag(rule, 'add_prefix_space', true, where) && scheme !== 'never') {
    throw new TokenizerProblem(
      `a ${where} of type Metaspace with add_prefix_space false beside prepend_scheme ${shown(scheme)}`,
    );
  }
  return { type: 'Metaspace', replacement, prepend_scheme: scheme, split: flag(rule, 'split', true, where) };
}

/** With `invert`, the pattern matches the pieces, and the delimiters are between the matches. */
function splitRule(rule: JsonObject, where: string): JsonObject {
  const { behavior } = rule;
  const invert = flag(rule, 'invert', false, where);
  const pattern = patternOf(rule, where);
  // If delimiters are kept as separate pieces, `invert` makes no difference.
  if (behavior === 'Isolated') return { type: 'Split', pattern, behavior, invert: false };
  if (behavior !== 'Removed') throw new TokenizerProblem(`a ${where} of type Split with behavior ${shown(behavior)}`);
  // The content of a group would appear among the pieces.
  if (!invert && /\((?!\?)/.test(pattern.Regex.replace(/\\./g, ''))) {
    throw new TokenizerProblem(`a ${where} of type Split with behavior "Removed" and a group in its pattern`);
  }
  return { type: 'Split', pattern, behavior, invert };
}

function replace(rule: JsonObject, where: string): JsonObject {
  // A $ in the content is literal, not a reference to the match.
  return {
    type: 'Replace',
    pattern: patternOf(rule, where),
    content: text(rule, 'content', where).replaceAll('$', '$$$$'),
  };
}

function patternOf({ type, pattern }: JsonObject, where: string): { Regex: string } {
  const [[kind, value] = [], ...more] = isRecord(pattern) ? Object.entries(pattern) : [];
  if (more.length === 0 && typeof value === 'string') {
    if (kind === 'Regex') return { Regex: value };
    if (kind === 'String' && value !== '') return { Regex: value.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`) };
  }
  throw new TokenizerProblem(`a ${where} of type ${shown(type)} with the pattern ${shown(pattern)}`);
}

function text(rule: JsonObject, name: string, where: string): string {
  const value = rule[name];
  if (typeof value === 'string') return value;
  throw new TokenizerProblem(`a ${where} of type ${shown(rule['type'])} with ${name} ${shown(value)}`);
}

function flag(rule: JsonObject, name: string, byDefault: boolean, where: string): boolean {
  const value = rule[name] ?? byDefault;
  if (typeof value === 'boolean') return value;
  throw new TokenizerProblem(`a ${where} of type ${shown(rule['type'])} with ${name} ${shown(value)}`);
}

function split(regex: string): JsonObject {
  return { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false };
}

function sequence(...pretokenizers: JsonObject[]): JsonObject {
  return { type: 'Sequence', pretokenizers };
}
