#!/usr/bin/env python3
"""Whole federations on the tiny families/llama2 model as bench/torch_round.py computes them, step for step.

Writes into test/fixtures/round

batches-B.jsonl       the token batches of batch size B, in the order of use and the form of torch_round.py (rounds from 0)
init_lora.safetensors the LoRA weights that every case starts from, of all layers: layers.J.self_attn.q_proj.lora_A [r, in],
                      lora_B [out, r], J counted in the full model
index.json            {layer: [{name, shape}], cases: [{name, batches, emulator: [layer], adapter: [layer], options, steps}]}
NAME.safetensors      of every case the LoRA weights after each phase: after_align_rR (the emulator's), clientC_rR and
                      aggregated_rR (the adapter's)

A flat vector holds the tensors named in `layer` of each of its layers in turn: of the case's `emulator` or of its `adapter`.
`options` are those of torch_round.py. `steps` lists {phase, round, client, step, loss, similarity, kl, lm, prox, grad_norm} of
every step; a part that the step does not have is null.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import random
import shutil
import tempfile
from itertools import product
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).parents[2]
MODEL = ROOT / 'test/fixtures/families/llama2'
PROJECTIONS = (
    'self_attn.q_proj',
    'self_attn.k_proj',
    'self_attn.v_proj',
    'self_attn.o_proj',
    'mlp.gate_proj',
    'mlp.up_proj',
    'mlp.down_proj',
)
LAYER = [f'{projection}.lora_{side}' for projection in PROJECTIONS for side in 'AB']
ADAPTER_LAYERS, RANK = 2, 2
ROUNDS, CLIENTS, ALIGN_STEPS, CLIENT_STEPS = 2, 2, 4, 5
COMMON = dict(
    s=ADAPTER_LAYERS, drop=0.5, lora_r=RANK, lora_alpha=2 * RANK, targets=','.join(p.split('.')[1] for p in PROJECTIONS)
)
ADAMW = dict(optimizer='adamw', lr=2e-3, align_lr=3e-3)
SGD = dict(optimizer='sgd', lr=0.2, align_lr=0.3)


def cases():
    """(name, batch size, options of torch_round.py): the grid, and each similarity once more with padded batches."""
    for (name, optimizer), kl, prox in product((('adamw', ADAMW), ('sgd', SGD)), (0, 1), (0, 0.1)):
        yield f'{name}-kl{kl}-prox{prox}', 1, dict(optimizer, kd_weight=kl, prox_weight=prox)
    both = dict(kd_weight=1, prox_weight=0.1)
    yield 'batch2-l2', 2, dict(ADAMW, **both)
    yield 'batch2-l2-per-token', 2, dict(ADAMW, **both, similarity='l2-per-token', betas='0.9,0.95', eps=1e-6, weight_decay=0.1)
    yield 'batch2-cosine', 2, dict(SGD, **both, similarity='cosine', clip_norm=0.25)
    yield 'batch2-layerwise', 2, dict(ADAMW, **both, similarity='layerwise', keep='0,2,3')


def write_batches(path, rows):
    """Random sequences of different lengths, whose first tokens carry no loss."""
    numbers = random.Random(rows)
    vocabulary = json.loads((MODEL / 'config.json').read_text())['vocab_size']

    def batch(phase, round_, client, step):
        ids = [[numbers.randrange(3, vocabulary) for _ in range(numbers.randint(12, 24))] for _ in range(rows)]
        unlabelled = [numbers.randint(3, 8) for _ in ids]
        padding = [max(map(len, ids)) - len(x) for x in ids]
        return dict(
            phase=phase,
            round=round_,
            client=client,
            step=step,
            input_ids=[x + [0] * n for x, n in zip(ids, padding, strict=True)],
            labels=[[-100] * k + x[k:] + [-100] * n for x, k, n in zip(ids, unlabelled, padding, strict=True)],
            attention_mask=[[1] * len(x) + [0] * n for x, n in zip(ids, padding, strict=True)],
        )

    phases = [('align', -1, ALIGN_STEPS)] + [('client', client, CLIENT_STEPS) for client in range(CLIENTS)]
    batches = [
        batch(phase, round_, client, step) for round_ in range(ROUNDS) for phase, client, steps in phases for step in range(steps)
    ]
    path.write_text(''.join(json.dumps(b) + '\n' for b in batches))


def write_initial_lora(path):
    """A as PEFT draws it, B not zero: otherwise A would have no gradient at first."""
    generator = torch.Generator().manual_seed(0)
    base = load_file(MODEL / 'model.safetensors')
    tensors = {}
    for name, weight in sorted(base.items()):
        if not name.removesuffix('.weight').endswith(PROJECTIONS):
            continue
        key, (out, in_) = name.removeprefix('model.').removesuffix('.weight'), weight.shape
        tensors[f'{key}.lora_A'] = (2 * torch.rand(RANK, in_, generator=generator) - 1) / in_**0.5
        tensors[f'{key}.lora_B'] = 0.05 * torch.randn(out, RANK, generator=generator)
    save_file(tensors, path)
    return tensors


def load_torch_round():
    spec = importlib.util.spec_from_file_location('torch_round', ROOT / 'bench/torch_round.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments_of(options):
    return [text for name, value in options.items() for text in (f'--{name.replace("_", "-")}', str(value))]


def run_case(torch_round, batches, initial, options, dtype):
    """Flat LoRA vectors after each phase, the record of every step, and the emulator's and adapter's layers in the full model."""
    layers = json.loads((MODEL / 'config.json').read_text())['num_hidden_layers']
    teacher = layers - ADAPTER_LAYERS
    emulator = torch_round.kept_layers(argparse.Namespace(keep=options.get('keep'), drop=options['drop']), teacher)
    adapter = list(range(teacher, layers))
    student = {
        f'layers.{j}.{name}': initial[f'layers.{layer}.{name}'] for j, layer in enumerate([*emulator, *adapter]) for name in LAYER
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        out = Path(folder)
        save_file({name: x.clone() for name, x in student.items()}, out / 'start.safetensors')
        result = torch_round.main(
            arguments_of(
                dict(
                    options,
                    model=MODEL,
                    out=out,
                    batches=batches,
                    init_lora=out / 'start.safetensors',
                    dtype=dtype,
                    save_dtype='float32',
                    threads=1,
                )
            )
        )
        vectors = {}
        for path in sorted([*out.glob('after_align_r*'), *out.glob('client*_r*'), *out.glob('aggregated_r*')]):
            part = (
                range(len(emulator))
                if path.name.startswith('after_align')
                else range(len(emulator), len(emulator) + len(adapter))
            )
            weights = load_file(path)
            vectors[path.stem] = torch.cat([weights[f'layers.{j}.{name}'].flatten() for j in part for name in LAYER])
    kind = options.get('similarity', 'l2')
    steps = [
        dict(
            phase=phase['phase'],
            round=phase['round'],
            client=phase['client'],
            step=i,
            loss=step['loss'],
            similarity=step.get(kind),
            kl=step.get('kl'),
            lm=step.get('lm'),
            prox=step.get('prox'),
            grad_norm=step['grad_norm'],
        )
        for phase in result['phases']
        for i, step in enumerate(phase['steps'])
    ]
    return vectors, steps, dict(emulator=emulator, adapter=adapter)


def main(out, dtype):
    torch_round = load_torch_round()
    torch_round.transformers.utils.logging.disable_progress_bar()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    initial = write_initial_lora(out / 'init_lora.safetensors')
    index = dict(layer=[dict(name=name, shape=list(initial[f'layers.0.{name}'].shape)) for name in LAYER], cases=[])
    for name, batch_size, options in cases():
        batches = out / f'batches-{batch_size}.jsonl'
        if not batches.exists():
            write_batches(batches, batch_size)
        options = {**COMMON, **options}
        vectors, steps, layers = run_case(torch_round, batches, initial, options, dtype)
        save_file(vectors, out / f'{name}.safetensors')
        index['cases'].append(dict(name=name, batches=batches.name, **layers, options=options, steps=steps))
    lines = ',\n'.join(json.dumps(case) for case in index['cases'])
    (out / 'index.json').write_text(f'{{"layer": {json.dumps(index["layer"])},\n"cases": [\n{lines}\n]}}\n')


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=ROOT / 'test/fixtures/round')
    parser.add_argument(
        '--dtype', choices=['float32', 'float64'], default='float64', help='of the computation; everything is stored in float32'
    )
    args = parser.parse_args()
    main(args.out, args.dtype)
