#!/usr/bin/env python3
"""Prints the logits that transformers + PEFT compute with an adapter directory: the check that what we export loads elsewhere.

    python peft_logits.py MODEL ADAPTER_DIR IDS_JSON > logits.json

IDS_JSON is a file, or - for the standard input, with [[token id, …], …]. Prints {"logits": [a matrix [length, vocabulary] a
sequence]}, computed in float32. A LoRA tensor that the model lacks, or that the adapter does not provide, is an error.
"""

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM
from transformers.utils import logging


def load(model_directory, adapter_directory):
    base = AutoModelForCausalLM.from_pretrained(model_directory, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter_directory).eval()
    # PEFT only warns of names that do not match, and of missing weights: it would then compute with untrained ones.
    expected = {name.replace('.default', '') for name in model.state_dict() if 'lora_' in name}
    with safe_open(f'{adapter_directory}/adapter_model.safetensors', 'pt') as file:
        found = set(file.keys())
    if found != expected:
        raise SystemExit(f'the adapter lacks {sorted(expected - found)[:3]}, and the model has no {sorted(found - expected)[:3]}')
    return model


@torch.no_grad()
def main(model_directory, adapter_directory, ids_path):
    logging.disable_progress_bar()
    sequences = json.loads(sys.stdin.read() if ids_path == '-' else Path(ids_path).read_text())
    model = load(model_directory, adapter_directory)
    print(
        json.dumps(dict(logits=[model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].tolist() for ids in sequences]))
    )


if __name__ == '__main__':
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
