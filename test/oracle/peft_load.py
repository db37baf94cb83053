"""Python PEFT's view of an adapter directory.

    python -P test/oracle/peft_load.py check MODEL ADAPTER    # PEFT loads ADAPTER; its logits must equal a computation by hand
    python -P test/oracle/peft_load.py write MODEL ADAPTER    # a random adapter saved by PEFT: test/fixtures/peft of families/llama2

Written with torch 2.15, transformers 5.23, peft 0.21.
"""
import json
import os
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

command, model_dir, adapter_dir = sys.argv[1:]
torch.manual_seed(0)


def base():
    return AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()


if command == "write":
    config = LoraConfig(task_type="CAUSAL_LM", r=3, lora_alpha=6, lora_dropout=0.0, layers_to_transform=[2, 3],
                        target_modules=["q_proj", "v_proj", "o_proj", "down_proj"])
    model = get_peft_model(base(), config)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(adapter_dir)
    os.remove(os.path.join(adapter_dir, "README.md"))
    # PEFT writes a set in the order of the day.
    path = os.path.join(adapter_dir, "adapter_config.json")
    saved = json.load(open(path))
    saved["target_modules"].sort()
    json.dump(saved, open(path, "w"), indent=2)
    sys.exit()

ids = torch.randint(0, base().config.vocab_size, (2, 12))
with torch.no_grad():
    loaded = PeftModel.from_pretrained(base(), adapter_dir).eval()
    by_peft = loaded(ids).logits
    # PEFT only warns about adapter tensors it has no place for: every one must have arrived.
    stored = load_file(os.path.join(adapter_dir, "adapter_model.safetensors"))
    present = {name.replace(".default", ""): value for name, value in loaded.state_dict().items() if "lora_" in name}
    assert present.keys() == stored.keys(), present.keys() ^ stored.keys()
    assert all(torch.equal(present[name], stored[name]) for name in stored)

    # By hand: W + (alpha / r) B A, without PEFT.
    config = json.load(open(os.path.join(adapter_dir, "adapter_config.json")))
    merged = base()
    weights = dict(merged.named_parameters())
    for name, a in stored.items():
        if name.endswith(".lora_A.weight"):
            b = stored[name.replace("lora_A", "lora_B")]
            target = name.removeprefix("base_model.model.").replace(".lora_A", "")
            weights[target] += config["lora_alpha"] / config["r"] * (b @ a)
    by_hand = merged(ids).logits
    without = base()(ids).logits

error = (by_peft - by_hand).abs().max().item()
effect = (by_peft - without).abs().max().item()
print(json.dumps(dict(tensors=len(stored), maxAbsError=error, effect=effect)))
assert error < 1e-3 < effect
