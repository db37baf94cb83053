#!/usr/bin/env python3
"""Plain LoRA of a whole model with transformers and PEFT: the rival that needs no emulator, and shows the model to its data's owner.

Trains LoRA on every projection of every layer on one random sequence per step, and prints, as JSON, the peak resident memory in
bytes, the seconds of each step after a first, and versions.

    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python torch_lora.py --model DIR --length 256 --dtype bfloat16
"""

import argparse
import json
import resource
import time

import peft
import torch
import transformers

PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', required=True, help='Hugging Face directory')
    parser.add_argument('--length', type=int, required=True, help='tokens of a sequence')
    parser.add_argument('--dtype', required=True, choices=['float32', 'bfloat16'], help='of the frozen weights')
    parser.add_argument('--steps', type=int, default=2)
    parser.add_argument('--threads', type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    full = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype))
    lora = peft.LoraConfig(task_type='CAUSAL_LM', r=8, lora_alpha=16, target_modules=PROJECTIONS)
    model = peft.get_peft_model(full, lora).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-4)
    seconds = []
    for _ in range(args.steps + 1):
        started = time.time()
        ids = torch.randint(model.config.vocab_size, (1, args.length))
        optimizer.zero_grad(set_to_none=True)
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        optimizer.step()
        seconds.append(time.time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    versions = dict(torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__)
    print(json.dumps(dict(peak=peak, steps=seconds[1:], versions=versions)))


if __name__ == '__main__':
    main()
