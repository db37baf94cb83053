/** A JSON object whose members are yet to be checked. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What stands in tokenizer.json that the JavaScript library would encode differently from the Rust one behind Python's
 * `tokenizers`, in words; null when there is nothing. Different ids would train a model on text it never sees again.
 */
export function unsupportedRule(tokenizer: JsonObject): string | null {
  const model = isJsonObject(tokenizer['model']) ? tokenizer['model'] : {};
  if (model['type'] !== 'BPE') return `a model of type ${JSON.stringify(model['type'] ?? null)}; the LLaMA family uses BPE`;
  for (const option of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix']) {
    if (model[option]) return `the BPE option ${option} = ${JSON.stringify(model[option])}`;
  }
  const split = preTokenizers(tokenizer['pre_tokenizer']).find(
    (rule) => rule['type'] === 'Split' && rule['invert'] !== true && !['Isolated', 'Removed'].includes(String(rule['behavior'])),
  );
  if (split) return `a Split pre-tokenizer with behavior ${JSON.stringify(split['behavior'] ?? null)}`;
  const added = Array.isArray(tokenizer['added_tokens']) ? tokenizer['added_tokens'].filter(isJsonObject) : [];
  const single = added.find((token) => token['single_word'] === true);
  return single ? `the added token ${JSON.stringify(single['content'])} with single_word` : null;
}

function preTokenizers(rule: unknown): JsonObject[] {
  if (!isJsonObject(rule)) return [];
  return Array.isArray(rule['pretokenizers']) ? rule['pretokenizers'].flatMap(preTokenizers) : [rule];
}

/**
 * The pre-tokenizer spelled out in rules that the JavaScript library applies as the Rust one does. Its own short forms differ:
 * - ByteLevel's and Digits' patterns use JavaScript's `\s`, which takes in U+FEFF (a byte order mark inside a text) and leaves out
 *   U+0085, and `\d`, which is ASCII only. A Split's pattern, by contrast, is translated to the Unicode properties Rust uses.
 * - Metaspace never splits; Rust's splits before every replacement character unless `split` is false.
 */
export function spellOut(rule: unknown): unknown {
  if (!isJsonObject(rule)) return rule;
  if (Array.isArray(rule['pretokenizers'])) return { ...rule, pretokenizers: rule['pretokenizers'].map(spellOut) };
  if (rule['type'] === 'ByteLevel' && rule['use_regex'] !== false) {
    const prefix = rule['add_prefix_space'] === true ? [prefixSpace] : [];
    return sequence(...prefix, split(byteLevelPattern), { ...rule, add_prefix_space: false, use_regex: false });
  }
  if (rule['type'] === 'Digits') return split(rule['individual_digits'] === true ? String.raw`\p{N}` : String.raw`\p{N}+`);
  if (rule['type'] === 'Metaspace' && rule['split'] !== false) {
    const space = typeof rule['replacement'] === 'string' ? rule['replacement'] : '▁';
    return sequence(rule, split(`${space}[^${space}]*|[^${space}]+`));
  }
  return rule;
}

/** GPT-2's pattern, which ByteLevel applies by default. */
const byteLevelPattern = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;

/** Metaspace with a plain space as its mark: puts one before a text that does not start with one. */
const prefixSpace = { type: 'Metaspace', replacement: ' ', prepend_scheme: 'always', split: false };

function split(regex: string): JsonObject {
  return { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false };
}

function sequence(...pretokenizers: JsonObject[]): JsonObject {
  return { type: 'Sequence', pretokenizers };
}
