#!/usr/bin/env python3
"""What transformers computes with the real SmolLM2-135M on short texts, in float32.

    python smollm2.py MODEL_DIRECTORY > ../fixtures/smollm2.json

{logitStride, texts: [{text, ids, nll, lastLogits, continuation}]}: `nll` [ids - 1] is the loss of every token but the first in
nats, `lastLogits` are the logits of the next token for every logitStride-th id of the vocabulary, `continuation` are the ids of
the greedy continuation.
"""

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

TEXTS = (
    'Natalia packs 12 boxes in the morning and half as many in the afternoon. '
    'In the afternoon she packs 12 / 2 = <<12/2=6>>6 boxes, so she packs 12 + 6 = 18 boxes in all.\n#### 18',
    'The days of the week are Monday, Tuesday, Wednesday,',
)
LOGIT_STRIDE = 977
NEW_TOKENS = 16
LEAST_MARGIN = 0.02  # between the two best tokens of a greedy step, so that rounding cannot change the choice


def rounded(values):
    return [float(f'{value:.8g}') for value in values]


@torch.no_grad()
def expected(model, tokenizer, text):
    ids = tokenizer(text)['input_ids']
    logits = model(torch.tensor([ids])).logits[0]
    nll = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction='none')
    continuation = []
    for _ in range(NEW_TOKENS):
        best = model(torch.tensor([ids + continuation]), use_cache=False).logits[0, -1].topk(2)
        margin = float(best.values[0] - best.values[1])
        assert margin > LEAST_MARGIN, (text, len(continuation), margin)
        continuation.append(int(best.indices[0]))
    return dict(
        text=text,
        ids=ids,
        nll=rounded(nll.tolist()),
        lastLogits=rounded(logits[-1, ::LOGIT_STRIDE].tolist()),
        continuation=continuation,
    )


if __name__ == '__main__':
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # the same sums in the same order wherever it runs
    directory = sys.argv[1]
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation='eager').eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    texts = ',\n'.join(json.dumps(expected(model, tokenizer, text)) for text in TEXTS)
    print(f'{{"logitStride": {LOGIT_STRIDE}, "texts": [\n{texts}\n]}}')
