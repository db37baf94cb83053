#!/usr/bin/env python3
"""Tiny random models of every supported family as Hugging Face directories, and what transformers + PEFT compute with them.

Each folder of test/fixtures/families holds config.json, the weights and

expected.json         {layers, loss, loraLoss, generation: [{prompt, tokens}],
                       lora: {rank, alpha, layers, order: [{name, shape}]}}
expected.safetensors  int32: input_ids [2, T] right-padded with the pad token, lengths [2], labels [2, T] (-100: no loss)
                      float32: hidden [rows, d], the residual stream before the last two layers; logits [rows, V];
                      lora/NAME and gradient/NAME of every LoRA tensor, loraLogits [rows, V]
where `rows` are the positions that are not padding, of the first sequence, then of the second; `loss` is the mean over labelled
tokens; `loraLogits`, `loraLoss` and `gradient` are those with LoRA on all projections of the last two layers (`order`: the order
in a flat vector). `tokens` continue `prompt` greedily. Everything is computed in float32 from the weights as stored.

| folder  | what it is there for                                                                                       |
| ------- | ---------------------------------------------------------------------------------------------------------- |
| llama2  | multi-head attention; one float32 file; config with rope_parameters                                         |
| llama3  | grouped heads, rotary scaling "llama3"; sharded; rope_parameters, and config-old.json with rope_theta, rope_scaling |
| mistral | a sliding window shorter than the sequences; head_dim that is not hidden/heads; float16; rope_parameters     |
| qwen2   | biases on q, k, v; bfloat16; config with rope_theta                                                          |
| smollm2 | tied head; three heads to a key-value head; config with rope_theta and rope_scaling null                     |
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config
from transformers.utils import logging

COMMON = dict(vocab_size=96, max_position_embeddings=512, initializer_range=0.15, pad_token_id=0, bos_token_id=1, eos_token_id=2)
DEFAULT_ROPE = dict(rope_type='default', rope_theta=10000.0)
LLAMA3_ROPE = dict(
    rope_type='llama3',
    rope_theta=20000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=64,
)  # of four wavelengths one is kept, one blended, two stretched
FAMILIES = dict(
    llama2=LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=4,
        rms_norm_eps=1e-5,
        rope_parameters=DEFAULT_ROPE,
        **COMMON,
    ),
    llama3=LlamaConfig(
        hidden_size=32,
        intermediate_size=56,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        rms_norm_eps=1e-5,
        rope_parameters=LLAMA3_ROPE,
        **COMMON,
    ),
    mistral=MistralConfig(
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        sliding_window=8,
        rope_parameters=DEFAULT_ROPE,
        **COMMON,
    ),
    qwen2=Qwen2Config(
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        rope_parameters=dict(rope_type='default', rope_theta=1e6),
        **COMMON,
    ),
    smollm2=LlamaConfig(
        hidden_size=36,
        intermediate_size=52,
        num_hidden_layers=5,
        num_attention_heads=3,
        num_key_value_heads=1,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        rope_parameters=dict(rope_type='default', rope_theta=1e5),
        **COMMON,
    ),
)
STORED = dict(mistral=torch.float16, qwen2=torch.bfloat16)
SHARDED = dict(llama3='60KB')
OLD_FORM = ('qwen2', 'smollm2')
OLD_FORM_BESIDE = ('llama3',)
PROJECTIONS = (
    'self_attn.q_proj',
    'self_attn.k_proj',
    'self_attn.v_proj',
    'self_attn.o_proj',
    'mlp.gate_proj',
    'mlp.up_proj',
    'mlp.down_proj',
)
LENGTHS, UNLABELLED = (24, 15), (6, 9)
PROMPTS = (11, 5)
NEW_TOKENS = 12
RANK, ALPHA, LORA_LAYERS = 4, 8, 2
LEAST_DISTINCT = 4
LEAST_MARGIN = 0.01  # between the two best tokens of a greedy step, so that rounding cannot change the choice


def randomize(model, generator):
    """Makes visible what the usual initial values hide: norm weights of one, biases of zero."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if 'norm' in name:
                p.copy_(1 + 0.2 * torch.randn(p.shape, generator=generator))
            elif name.endswith('bias'):
                p.copy_(0.3 * torch.randn(p.shape, generator=generator))


def old_form(config):
    """The same configuration as files written before transformers 5 say it."""
    config = dict(config)
    rope = dict(config.pop('rope_parameters'))
    config['rope_theta'] = rope.pop('rope_theta')
    config['rope_scaling'] = None if rope['rope_type'] == 'default' else rope
    config['torch_dtype'] = config.pop('dtype')
    return config


def rewrite(path, form, to=None):
    (to or path).write_text(json.dumps(form(json.loads(path.read_text())), indent=2) + '\n')


def save_model(name, config, seed, folder):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    randomize(model, torch.Generator().manual_seed(seed))
    shutil.rmtree(folder, ignore_errors=True)
    model.to(STORED.get(name, torch.float32)).save_pretrained(folder, max_shard_size=SHARDED.get(name, '50GB'))
    (folder / 'generation_config.json').unlink(missing_ok=True)
    if name in OLD_FORM:
        rewrite(folder / 'config.json', old_form)
    if name in OLD_FORM_BESIDE:
        rewrite(folder / 'config.json', old_form, folder / 'config-old.json')


def load_model(folder):
    return (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation='eager')
        .eval()
        .requires_grad_(False)
    )


def batch(generator):
    longest = max(LENGTHS)
    ids = torch.randint(3, COMMON['vocab_size'], (len(LENGTHS), longest), generator=generator)
    position = torch.arange(longest)[None]
    real = position < torch.tensor(LENGTHS)[:, None]
    labels = torch.where(real & (position >= torch.tensor(UNLABELLED)[:, None]), ids, -100)
    return ids * real, real, labels


@torch.no_grad()
def generate(model, prompt):
    """Greedy continuation, and the smallest margin of a choice in it."""
    ids, margin = prompt, float('inf')
    for _ in range(NEW_TOKENS):
        best = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        ids = [*ids, int(best.indices[0])]
    return ids[len(prompt) :], margin


def add_lora(model, generator):
    """PEFT's LoRA on the last layers with random A and B; its parameters by our names, in the order of a flat vector."""
    layers = model.config.num_hidden_layers
    chosen = list(range(layers - LORA_LAYERS, layers))
    tuned = get_peft_model(
        model,
        LoraConfig(
            task_type='CAUSAL_LM',
            r=RANK,
            lora_alpha=ALPHA,
            lora_dropout=0.0,
            layers_to_transform=chosen,
            target_modules=[p.split('.')[1] for p in PROJECTIONS],
        ),
    ).eval()
    found = {name: p for name, p in tuned.named_parameters() if 'lora_' in name}
    parameters = {
        f'layers.{j}.{projection}.lora_{side}': found.pop(
            f'base_model.model.model.layers.{j}.{projection}.lora_{side}.default.weight'
        )
        for j in chosen
        for projection in PROJECTIONS
        for side in 'AB'
    }
    assert not found, found.keys()
    with torch.no_grad():
        for name, p in parameters.items():
            p.copy_(torch.randn(p.shape, generator=generator) * (0.2 if name.endswith('A') else 0.1))
    return tuned, parameters


def oracle(folder, seed):
    """What is expected of the model in `folder`; None where a continuation is a poor test: close choices, end token, a loop."""
    generator = torch.Generator().manual_seed(seed)
    ids, real, labels = batch(generator)
    prompts = [torch.randint(3, COMMON['vocab_size'], (n,), generator=generator).tolist() for n in PROMPTS]
    model = load_model(folder)
    layers = model.config.num_hidden_layers

    continuations = [generate(model, prompt) for prompt in prompts]
    if any(
        margin < LEAST_MARGIN or COMMON['eos_token_id'] in tokens or len(set(tokens)) < LEAST_DISTINCT
        for tokens, margin in continuations
    ):
        return None
    with torch.no_grad():
        base = model(input_ids=ids, attention_mask=real.int(), labels=labels, output_hidden_states=True, use_cache=False)

    tuned, parameters = add_lora(model, generator)
    out = tuned(input_ids=ids, attention_mask=real.int(), labels=labels, use_cache=False)
    gradients = torch.autograd.grad(out.loss, list(parameters.values()))
    tensors = dict(
        input_ids=ids.int(),
        lengths=torch.tensor(LENGTHS, dtype=torch.int32),
        labels=labels.int(),
        hidden=base.hidden_states[layers - LORA_LAYERS][real],
        logits=base.logits[real],
        loraLogits=out.logits[real],
    )
    for (name, p), gradient in zip(parameters.items(), gradients, strict=True):
        tensors[f'lora/{name}'], tensors[f'gradient/{name}'] = p, gradient
    facts = dict(
        layers=layers,
        loss=base.loss.item(),
        loraLoss=out.loss.item(),
        generation=[dict(prompt=prompt, tokens=tokens) for prompt, (tokens, _) in zip(prompts, continuations, strict=True)],
        lora=dict(
            rank=RANK,
            alpha=ALPHA,
            layers=LORA_LAYERS,
            order=[dict(name=name, shape=list(p.shape)) for name, p in parameters.items()],
        ),
    )
    return facts, {name: x.detach().clone().contiguous() for name, x in tensors.items()}


def check_rotary(name, folder):
    """Both forms of the configuration must mean to transformers what was meant here."""
    for path in folder.glob('config*.json'):
        read = AutoConfig.from_pretrained(path).rope_parameters
        assert read == FAMILIES[name].rope_parameters, (path, read)


def make(name, out):
    folder = out / name
    for seed in range(100):
        save_model(name, FAMILIES[name], seed, folder)
        check_rotary(name, folder)
        found = oracle(folder, seed)
        if found:
            facts, tensors = found
            save_file(tensors, folder / 'expected.safetensors')
            (folder / 'expected.json').write_text(json.dumps(facts) + '\n')
            return
    raise SystemExit(f'{name}: no seed below 100 gives continuations that make a good test')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path(__file__).parents[1] / 'fixtures' / 'families')
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # the same sums in the same order wherever it runs
    for family in FAMILIES:
        make(family, arguments.out)
