import { isRecord } from '../../crds/json-schema/node.ts';
import { shown } from '../files/json-value.ts';
import { isTokenId, MAX_TOKEN_ID } from './added-tokens.ts';
import { TokenizerProblem } from './problem.ts';

/** The largest published vocabularies have about 500,000 merges. */
const MAX_MERGES = 1 << 23;

/**
 * Fields of a BPE model with the values (as JSON) that are supported; null: the field is checked elsewhere, or used
 * unchanged.
 */
const FIELDS: Readonly<Record<string, readonly string[] | null>> = {
  type: null,
  vocab: null,
  merges: null,
  unk_token: null,
  fuse_unk: ['null', 'false', 'true'],
  byte_fallback: ['null', 'false', 'true'],
  ignore_merges: ['null', 'false', 'true'],
  dropout: ['null', '0'],
  continuing_subword_prefix: ['null', '""'],
  end_of_word_suffix: ['null', '""'],
};

/**
 * Checks the BPE model in tokenizer.json: ids are unique, and each merge combines two tokens into a token.
 * @returns token → id
 * @throws TokenizerProblem for anything that Python would not load, or would compute differently
 */
export function vocabularyOf(model: unknown): ReadonlyMap<string, number> {
  if (!isRecord(model) || model['type'] !== 'BPE') {
    throw new TokenizerProblem(
      `a model of type ${shown((isRecord(model) ? model['type'] : model) ?? null)}; the LLaMA family uses BPE`,
    );
  }
  for (const [name, value] of Object.entries(model)) {
    const allowed = Object.hasOwn(FIELDS, name) ? FIELDS[name] : [];
    if (allowed && !allowed.includes(shown(value ?? null)))
      throw new TokenizerProblem(`the BPE option ${name} = ${shown(value)}`);
  }
  const unknown = model['unk_token'] ?? null;
  if (unknown !== null && typeof unknown !== 'string')
    throw new TokenizerProblem(`the unk_token ${shown(unknown)}, which is not text`);
  const vocabulary = tokenIds(model['vocab']);
  checkMerges(model['merges'], vocabulary);
  return vocabulary;
}

function tokenIds(vocab: unknown): Map<string, number> {
  if (!isRecord(vocab)) throw new TokenizerProblem('a vocab that is not an object');
  const ids = new Set<number>();
  const vocabulary = new Map<string, number>();
  for (const [token, id] of Object.entries(vocab)) {
    if (!isTokenId(id)) {
      throw new TokenizerProblem(
        `the token ${shown(token)} with the id ${shown(id)}, which is not an integer from 0 to ${MAX_TOKEN_ID}`,
      );
    }
    if (ids.has(id)) throw new TokenizerProblem(`two tokens with the id ${id}, one of them ${shown(token)}`);
    ids.add(id);
    vocabulary.set(token, id);
  }
  return vocabulary;
}

/**
 * Merges are pairs of tokens, or texts with two tokens separated by a space. The library decides by the first merge.
 */
function checkMerges(merges: unknown, vocabulary: ReadonlyMap<string, number>): void {
  if (!Array.isArray(merges)) throw new TokenizerProblem('merges that are not a list');
  if (merges.length > MAX_MERGES) throw new TokenizerProblem(`${merges.length} merges, more than ${MAX_MERGES}`);
  const inPairs = Array.isArray(merges[0]);
  merges.forEach((merge: unknown, i) => {
    const pair: unknown = inPairs ? merge : typeof merge === 'string' ? merge.split(' ') : undefined;
    const [a, b, ...more]: unknown[] = Array.isArray(pair) ? pair : [];
    if (typeof a !== 'string' || typeof b !== 'string' || more.length > 0) {
      throw new TokenizerProblem(`the merge ${shown(merge)} (number ${i + 1}), which is not a pair of tokens`);
    }
    const missing = [a, b, a + b].find((token) => !vocabulary.has(token));
    if (missing !== undefined)
      throw new TokenizerProblem(
        `the merge ${shown(merge)} (number ${i + 1}) with ${shown(missing)}, which is not a token`,
      );
  });
}
