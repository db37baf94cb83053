#!/usr/bin/env python3
"""The loss of the real SmolLM2-135M on the first GSM8K test records, by transformers in float32.

    python eval_loss.py MODEL_DIRECTORY DATA_FOLDER > ../fixtures/eval-loss.json

{n, tokens, loss}: the mean over all labelled tokens, in nats. A record is the Alpaca prompt, the answer as published and the end
of sequence: the tokens of the whole, or of both apart where one would span the end of the prompt. Those of the prompt carry no label.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

RECORDS = 8
PROMPT = (
    'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n'
    '### Instruction:\n{question}\n\n### Response:'
)


@torch.no_grad()
def record_loss(model, tokenizer, record):
    prompt = PROMPT.format(question=record['question'])
    response = record['answer'] + tokenizer.eos_token
    before, ids = tokenizer(prompt).input_ids, tokenizer(prompt + response).input_ids
    if ids[: len(before)] != before:
        ids = before + tokenizer(response, add_special_tokens=False).input_ids
    masked = len(before)
    logits = model(torch.tensor([ids])).logits[0, masked - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[masked:]), reduction='sum').item(), len(ids) - masked


if __name__ == '__main__':
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # the same sums in the same order wherever it runs
    directory, data = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation='eager').eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    lines = Path(data, 'gsm8k', 'test.jsonl').read_text().splitlines()[:RECORDS]
    losses, tokens = zip(*(record_loss(model, tokenizer, json.loads(line)) for line in lines))
    print(json.dumps(dict(n=RECORDS, tokens=sum(tokens), loss=float(f'{sum(losses) / sum(tokens):.8g}'))))
