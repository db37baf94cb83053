#!/usr/bin/env python3
"""Writes test/fixtures/tokenizers/added-tokens.json: ids that Python gives texts where the files of a tokenizer add tokens in all their ways.

    python -P added_tokens.py ../fixtures/tokenizers > ../fixtures/tokenizers/added-tokens.json     # needs transformers

A case: `family` names the folder that is changed; `listed` are more added_tokens of its tokenizer.json, `config` more fields of its
tokenizer_config.json, `map` its special_tokens_map.json; `texts`, and the `ids` of each.
"""
import json, os, shutil, sys, tempfile
from transformers import AutoTokenizer

# White space as Unicode has it beside the token, and what JavaScript alone takes for it (U+FEFF), or does not (U+0085).
TEXTS = ['a <x> b', 'a\u0085<x>\u2003b', 'a\ufeff<x>\ufeffb', ' <x> ', '<x>  <x>', '<x><x> a', 'x\u200b <x>\u2028y', 'a <x> b<y>']


def listed(content='<x>', **flags):
    return {'id': 9999, 'content': content, 'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False, 'special': False, **flags}


def decoded(**flags):
    return {'content': '<x>', 'lstrip': False, 'rstrip': False, 'normalized': False, 'single_word': False, 'special': True, **flags}


def cases():
    yield {'listed': [listed()]}
    yield {'listed': [listed(lstrip=True, rstrip=True)]}
    yield {'listed': [listed(lstrip=True)]}
    yield {'listed': [listed(rstrip=True, normalized=True)]}
    yield {'listed': [listed(lstrip=True, rstrip=True, normalized=True)]}
    yield {'listed': [listed(rstrip=True), listed(' ')]}
    yield {'config': {'additional_special_tokens': ['<x>', '<y>']}}
    yield {'config': {'extra_special_tokens': {'image_token': '<x>'}}}
    yield {'config': {'image_token': '<x>'}}
    yield {'config': {'pad_token': '<x>'}}
    yield {'config': {'added_tokens_decoder': {'0': decoded(lstrip=True, rstrip=True)}}}
    by_left = {'listed': [listed(lstrip=True, special=True)]}
    by_right = {'added_tokens_decoder': {'9999': decoded(rstrip=True)}}
    yield {**by_left, 'config': {'pad_token': '<x>'}}
    yield {**by_left, 'config': {'image_token': '<x>'}}
    yield {**by_left, 'config': {'extra_special_tokens': ['<x>']}}
    yield {**by_left, 'config': {'pad_token': '<x>', **by_right}}
    yield {**by_left, 'config': {'extra_special_tokens': ['<x>'], **by_right}}
    yield {**by_left, 'map': {'pad_token': {'content': '<x>', 'lstrip': False, 'rstrip': True, 'normalized': False, 'single_word': False}}}
    yield {**by_left, 'config': {'pad_token': '<x>', **by_right}, 'map': {'pad_token': '<y>'}}


def ids(fixtures, family, case):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(os.path.join(fixtures, family), folder, dirs_exist_ok=True)
        change(folder, 'tokenizer.json', lambda json: json['added_tokens'].extend(case.get('listed', [])))
        change(folder, 'tokenizer_config.json', lambda json: json.update(case.get('config', {})))
        if 'map' in case:
            with open(os.path.join(folder, 'special_tokens_map.json'), 'w') as file:
                json.dump(case['map'], file)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return [tokenizer(text).input_ids for text in TEXTS]


def change(folder, name, edit):
    path = os.path.join(folder, name)
    with open(path) as file:
        value = json.load(file)
    edit(value)
    with open(path, 'w') as file:
        json.dump(value, file)


def main(fixtures):
    families = ['gpt2', 'llama2', 'mistral', 'qwen2', 'metaspace-split', 'prefix-space']
    found = [{'family': family, **case, 'ids': ids(fixtures, family, case)} for family in families for case in cases()]
    print('{"texts": ' + json.dumps(TEXTS) + ', "cases": [\n' + ',\n'.join(json.dumps(case) for case in found) + '\n]}')


main(sys.argv[1])
