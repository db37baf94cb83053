#!/usr/bin/env python3
"""Writes test/fixtures/token-ids.json: per data file, a hash of the token ids that Python gives every text of every record.

    python token_ids.py MODEL_DIRECTORY DATA_DIRECTORY > ../fixtures/token-ids.json     # needs transformers

The texts of a record, in this order: its string values (lists of strings one by one) in the order of the file; then, for an
instruction or a question, its Alpaca prompt, and prompt + response + end of sequence.
The hash: SHA-256 over each text's ids as little-endian uint32, followed by 0xffffffff.
"""
import glob, gzip, hashlib, json, os, struct, sys
from transformers import AutoTokenizer

HEAD = 'Below is an instruction that describes a task'
TAIL = 'Write a response that appropriately completes the request.\n\n### Instruction:\n'


def prompt(instruction, context):
    if context:
        return (f'{HEAD}, paired with an input that provides further context. {TAIL}{instruction}'
                f'\n\n### Input:\n{context}\n\n### Response:')
    return f'{HEAD}. {TAIL}{instruction}\n\n### Response:'


def texts(record, eos):
    for value in record.values():
        yield from value if isinstance(value, list) else [value]
    if 'instruction' in record:
        start, response = prompt(record['instruction'], record['input']), record['output']
    elif 'question' in record:
        start = prompt(record['question'], '')
        response = record['answers'][0] if 'answers' in record else record['answer']
    else:
        return
    yield start
    yield start + response + eos


def main(model, data):
    tokenizer = AutoTokenizer.from_pretrained(model)
    files = {}
    for path in sorted(glob.glob(os.path.join(data, '*', '*.jsonl*'))):
        digest, count, ids_total = hashlib.sha256(), 0, 0
        with (gzip.open if path.endswith('.gz') else open)(path, 'rt', encoding='utf-8', newline='\n') as file:
            for line in file:
                for text in texts(json.loads(line), tokenizer.eos_token):
                    ids = tokenizer(text).input_ids
                    digest.update(struct.pack(f'<{len(ids) + 1}I', *ids, 0xffffffff))
                    count += 1
                    ids_total += len(ids)
        files[os.path.relpath(path, data)] = {'texts': count, 'ids': ids_total, 'sha256': digest.hexdigest()}
    json.dump(files, sys.stdout, indent=1)
    print()


main(*sys.argv[1:])
