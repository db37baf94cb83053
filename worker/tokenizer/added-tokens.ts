import { isRecord } from '../../crds/json-schema/node.ts';
import { shown } from '../files/json-value.ts';
import type { JsonObject } from '../files/json-value.ts';
import { TokenizerProblem } from './problem.ts';

/** A token that is searched for in a text before the text is tokenised. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Includes the white space before it. */
  readonly lstrip: boolean;
  /** Includes the white space after it. */
  readonly rstrip: boolean;
  /** Whether it is searched for in the normalised text. */
  readonly normalized: boolean;
  /** Omitted when a text is decoded without special tokens. */
  readonly special: boolean;
}

/** The added tokens of a tokenizer, and those with a role, such as `eos_token`. */
export interface AddedTokens {
  readonly tokens: readonly AddedToken[];
  readonly named: Readonly<Record<string, string>>;
  /**
   * Special tokens to which no file gives an id. They would get ids after all others, for which no model was trained.
   */
  readonly withoutId: ReadonlySet<string>;
}

/** Maximum id of a token, because tokens are stored in an array by id. The largest vocabularies have some 260,000. */
export const MAX_TOKEN_ID = (1 << 22) - 1;

const NAMED = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];

/** The parts of a tokenizer's files that define added tokens. */
export interface TokenFiles {
  /** `added_tokens` of tokenizer.json. */
  readonly listed: unknown;
  /** tokenizer_config.json and special_tokens_map.json; empty if the file is missing. */
  readonly config: JsonObject;
  readonly specialTokensMap: JsonObject;
}

/**
 * The added tokens that Python's AutoTokenizer has after it has loaded a directory. Each file can add tokens and change
 * how tokens of earlier files are matched: first the list in tokenizer.json, then in tokenizer_config.json
 * added_tokens_decoder, the named tokens and extra_special_tokens. Ids in these files are not used: a token has its id
 * in the vocabulary, otherwise the next free one.
 * @param vocabulary token → id, of the model in tokenizer.json
 * @throws TokenizerProblem for an entry that Python would not load
 */
export function addedTokens(
  { listed, config, specialTokensMap }: TokenFiles,
  vocabulary: ReadonlyMap<string, number>,
): AddedTokens {
  const found = new Map<string, AddedToken>();
  let highest = -1;
  const add = (token: Omit<AddedToken, 'id'>) => {
    const known = found.get(token.content)?.id ?? vocabulary.get(token.content);
    const id = known ?? (highest >= vocabulary.size ? highest + 1 : vocabulary.size);
    highest = Math.max(highest, id);
    found.set(token.content, { ...token, id });
  };
  const list = Array.isArray(listed) ? listed : [];
  for (const entry of list) add(listedToken(entry));

  const decoder = config['added_tokens_decoder'];
  const flags = new Map(found);
  if (isRecord(decoder)) {
    flags.clear();
    for (const [key, value] of Object.entries(decoder).sort(([a], [b]) => Number(a) - Number(b))) {
      if (!isTokenId(Number(key)))
        throw new TokenizerProblem(
          `added_tokens_decoder has a token with the id ${shown(key)}`,
          'tokenizer_config.json',
        );
      const token = tokenOf(value, false, `added_tokens_decoder[${key}]`);
      add(token);
      flags.set(token.content, { ...token, id: Number(key) });
    }
  }
  const settings = isRecord(decoder) ? config : { ...config, ...specialTokensMap };
  const named = namedTokens(settings);
  const given = new Set([...vocabulary.keys(), ...found.keys()]);
  for (const value of Object.values(named)) {
    const content = contentOf(value);
    add({ ...(flags.get(content) ?? tokenOf(value, true, 'a special token')), special: true });
  }
  for (const value of extraTokens(settings)) {
    const known = typeof value === 'string' ? flags.get(value) : undefined;
    add({ ...(known ?? tokenOf(value, true, 'extra_special_tokens')), special: true });
  }
  return {
    tokens: [...found.values()],
    named: Object.fromEntries(Object.entries(named).map(([name, value]) => [name, contentOf(value)])),
    withoutId: new Set([...found.keys()].filter((content) => !given.has(content))),
  };
}

export function isTokenId(value: unknown): value is number {
  return (
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKEN_ID && !Object.is(value, -0)
  );
}

/** Parses an entry of tokenizer.json, in which every field is required. */
function listedToken(entry: unknown): Omit<AddedToken, 'id'> {
  const where = `the added token ${isRecord(entry) ? shown(entry['content']) : shown(entry)}`;
  if (!isRecord(entry)) throw new TokenizerProblem(`${where}, which is not an object`);
  if (!isTokenId(entry['id']))
    throw new TokenizerProblem(
      `${where} with the id ${shown(entry['id'])}, which is not an integer from 0 to ${MAX_TOKEN_ID}`,
    );
  return tokenOf(entry, false, where);
}

function tokenOf(value: unknown, special: boolean, where: string): Omit<AddedToken, 'id'> {
  const fields: JsonObject = isRecord(value) ? value : { content: value, special };
  const flag = (name: string, byDefault: boolean): boolean => {
    const given = fields[name] ?? byDefault;
    if (typeof given === 'boolean') return given;
    throw new TokenizerProblem(`${where} with ${name} ${shown(given)}, which is not true or false`);
  };
  const content = fields['content'];
  if (typeof content !== 'string' || content === '')
    throw new TokenizerProblem(`${where} with the content ${shown(content)}, which is not text`);
  if (flag('single_word', false)) throw new TokenizerProblem(`${where} with single_word`);
  const isSpecial = flag('special', special);
  return {
    content,
    lstrip: flag('lstrip', false),
    rstrip: flag('rstrip', false),
    normalized: flag('normalized', !isSpecial),
    special: isSpecial,
  };
}

/** The tokens with a role: those that all tokenizers have, and others of this model whose names end in _token. */
function namedTokens(settings: JsonObject): Record<string, unknown> {
  const extra = settings['extra_special_tokens'];
  const own = Object.keys(settings).filter(
    (name) => name.endsWith('_token') && !NAMED.includes(name) && typeof settings[name] === 'string',
  );
  const names = [...NAMED, ...own].filter((name) => settings[name] !== undefined && settings[name] !== null);
  const named = Object.fromEntries(names.map((name) => [name, settings[name]]));
  for (const name of names) contentOf(named[name], name);
  return isRecord(extra) ? { ...named, ...extra } : named;
}

function extraTokens(settings: JsonObject): readonly unknown[] {
  for (const name of ['extra_special_tokens', 'additional_special_tokens']) {
    const value = settings[name];
    if (Array.isArray(value) && value.length > 0) return value;
    if (isRecord(value) && Object.keys(value).length > 0) return [];
  }
  return [];
}

function contentOf(value: unknown, name = 'a special token'): string {
  const content = isRecord(value) ? value['content'] : value;
  if (typeof content === 'string') return content;
  throw new TokenizerProblem(`${name} ${shown(value)}, which is not text`, 'tokenizer_config.json');
}
