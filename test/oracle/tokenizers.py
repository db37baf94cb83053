#!/usr/bin/env python3
"""Writes test/fixtures/tokenizers/: one small tokenizer directory per family, and what Python makes of difficult texts with it.

    python tokenizers.py ../fixtures/tokenizers     # needs transformers

The families differ in how text is cut before the byte pairs are merged: GPT-2's pattern, SmolLM2's single digits, LLaMA-3's and
Qwen2's patterns with and without normalisation, LLaMA-2's and Mistral's underscores with byte fallback.
"""
import json, os, sys
sys.path = sys.path[1:]  # this file is called like the package
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

CORPUS = [
    'The quick brown fox jumps over the lazy dog. Below is an instruction that describes a task. ### Response:',
    "Weng earns $12 an hour; she'd earned 12/60 = $<<12/60=0.2>>0.2 per minute, didn't she? We've 1,000,000 of 'em.",
    'def f(x):\n    return [x ** 2 for x in range(10)]\n\n\tprint("héllo wörld")  # naïve café\r\n',
    'Größe, žluťoučký kůň, 漢字とかな, Привет мир, שלום, مرحبا, 👩‍👩‍👧 🙂',
]
# Characters that JavaScript and Rust class differently as white space or digits, next to what they are wrongly put with.
ODD = [' \ufeff', '\ufeff\ufeff', '\ufeff!', '!\ufeff', ' \u0085', '\u0085\u0085', '!\u0085', '\u0085!', '½²', '٣٤', 'x½', '1²', 'a b', '  ', ' a']

TEXTS = [
    '', ' ', '  ', '\n', ' \n\n  \n', 'a', ' a', 'a ', '  two  spaces  ', 'tabs\t\tand\r\nlines\n\n\n  indented',
    "I'm don't WE'VE 'sting 'S ''s she'd", 'end.Start, (brackets) [x] {y} <<48/2=24>>24 #### 72', '$1,234.50 1234567 ½ ² ٣٤ Ⅷ x1y2',
    'byte\ufefforder\ufeff mark', '\ufeffstart', 'a \ufeff\ufeff! !\ufeff b \ufeff', '\u0085\u0085x !\u0085! \u0085', '½²½ ٣٤ 1² x½', 'next\u0085line', 'a\u00a0b\u2028c\u2029d\u3000e\u200bf', 'NUL\u0000 bell\u0007',
    'Größe žluťoučký 漢字とかな Привет שלום مرحبا', 'e\u0301 vs \u00e9, \ufb01 ligature, \u212b', '👩‍👩‍👧‍👦 🙂🙃 \U00010348', '\ufffd \U0010ffff',
    'before<|end|>after', '<|end|>', '<|end|> x <|end|><|begin|>', 'in <|begin|>the  middle', '<|pad|>', 'almost <|end| >',
    '\u2581already\u2581there \u2581', 'x' * 300, ' ' * 40 + 'y', '!?' * 50, 'Below is an instruction that describes a task. ### Response:4<|end|>',
]

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ['<|begin|>', '<|end|>', '<|pad|>']


def byte_level(pre_tokenizer, normalizer=None, **options):
    t = Tokenizer(models.BPE(**options))
    if normalizer is not None:
        t.normalizer = normalizer
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    train(t, pre_tokenizers.ByteLevel.alphabet(), 256 + 300)
    t.pre_tokenizer = pre_tokenizer
    t.decoder = decoders.ByteLevel()
    return t


def sentence_piece():
    t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token='<unk>'))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='never', split=False)
    train(t, [], 700, ['<unk>'] + SPECIAL + [f'<0x{b:02X}>' for b in range(256)])
    kept = json.loads(t.to_str())
    kept['added_tokens'] = [a for a in kept['added_tokens'] if not a['content'].startswith('<0x')]
    t = Tokenizer.from_str(json.dumps(kept))
    t.decoder = decoders.Sequence([decoders.Replace('\u2581', ' '), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(' ', 1, 0)])
    return t


def train(t, alphabet, size, special=SPECIAL):
    """Pairs are learnt from snippets that were not cut, so that they reach over every place where a family cuts: only a
    tokenizer that cuts at the same places then makes the same ids."""
    snippets = [text[at:at + 3] for text in CORPUS for at in range(len(text) - 2)] + ODD * 30
    t.train_from_iterator(snippets, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=special, show_progress=False))


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), 'isolated'), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def begins(t):
    return processors.TemplateProcessing(single='<|begin|> $A', pair='<|begin|> $A $B', special_tokens=[('<|begin|>', t.token_to_id('<|begin|>'))])


def families():
    yield 'gpt2', byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False)), {'bos_token': '<|begin|>'}
    yield 'prefix-space', byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True)), {}
    yield 'smollm2', byte_level(pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])), {'clean_up_tokenization_spaces': True}
    yield 'digits', byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)])), {}
    t = byte_level(split(LLAMA3), ignore_merges=True)
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), begins(t)])
    yield 'llama3', t, {'bos_token': '<|begin|>'}
    yield 'qwen2', byte_level(split(QWEN2), normalizers.NFC()), {'bos_token': None}
    t = sentence_piece()
    t.pre_tokenizer = None
    t.normalizer = normalizers.Sequence([normalizers.Prepend('\u2581'), normalizers.Replace(' ', '\u2581')])
    t.post_processor = begins(t)
    yield 'llama2', t, {'bos_token': {'__type': 'AddedToken', 'content': '<|begin|>'}, 'unk_token': '<unk>', 'add_bos_token': True, 'add_eos_token': False}
    t = sentence_piece()
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='first', split=False)
    yield 'mistral', t, {'bos_token': '<|begin|>', 'unk_token': '<unk>', 'add_bos_token': True}  # no effect beside tokenizer.json
    t = sentence_piece()
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme='always', split=True)
    yield 'metaspace-split', t, {'unk_token': '<unk>'}


def main(out):
    expected = {'texts': TEXTS, 'families': {}}
    for name, tokenizer, config in families():
        directory = os.path.join(out, name)
        os.makedirs(directory, exist_ok=True)
        tokenizer.save(os.path.join(directory, 'tokenizer.json'), pretty=False)
        with open(os.path.join(directory, 'tokenizer_config.json'), 'w') as file:
            json.dump({'tokenizer_class': 'PreTrainedTokenizerFast', 'eos_token': '<|end|>', 'pad_token': '<|pad|>', **config}, file)
        tok = AutoTokenizer.from_pretrained(directory)
        ids = [tok(text).input_ids for text in TEXTS]
        expected['families'][name] = dict(
            size=len(tok), bos=tok.bos_token_id, eos=tok.eos_token_id, pad=tok.pad_token_id, ids=ids,
            bare=[tok(text, add_special_tokens=False).input_ids for text in TEXTS],
            decoded=[tok.decode(i) for i in ids], without_special=[tok.decode(i, skip_special_tokens=True) for i in ids])
    with open(os.path.join(out, 'expected.json'), 'w') as file:
        json.dump(expected, file)
        file.write('\n')


main(sys.argv[1])
