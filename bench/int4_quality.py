#!/usr/bin/env python3
"""What quantized emulators cost in loss, in plain PyTorch. Prints two tables in Markdown.

    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python int4_quality.py --model DIR --data DIR [--seeds 0 1 2] > tables.md

The first: the full model on held-out GSM8K records, with the projections of all its layers quantized.

The second: the method. Half of the layers below the adapter, the most influential, are kept, with each kind of weights.
LoRA on their projections is aligned on public data; then one client tunes the adapter beside the emulator. Int8
activations are those of clients and of AdapEmu; the alignment has none. Mean ± standard deviation over seeds, which
draw the LoRA weights and the order of the examples.

Products are computed in bfloat16 (autocast), and accumulated in float32.
"""

import argparse
import statistics
import sys
from functools import partial

import torch
import torch.nn.functional as F
import torch_round
from calibration import PROJECTIONS, FullModel, assign_weights, projections
from quantizers import awq, gptq, round_to_nearest, rounded_activations

ADAPTER_LAYERS, DROP = 4, 0.5
BATCH, HELD_OUT, LENGTH = 4, 48, 256  # sequences, records, most tokens of either
ALIGNMENT, LOCAL = (100, 3e-3), (32, 1e-3)  # steps, peak learning rate
PROXIMAL_WEIGHT = 0.1


def int4(quantize, block=32, symmetric=False, **options):
    return partial(quantize, block=block, symmetric=symmetric, **options)


INT8, NEAREST, GPTQ = partial(round_to_nearest, bits=8), int4(round_to_nearest), int4(gptq, search=True)
FULL_MODEL = {
    'int8, a scale per output': INT8,
    **{
        f'int4, to nearest, blocks of {block}, {name}': int4(round_to_nearest, block, symmetric)
        for block in (32, 64, 128)
        for symmetric, name in ((True, 'symmetric'), (False, 'zero points'))
    },
    'int4, to nearest, blocks of 32, symmetric, searched scales': int4(round_to_nearest, symmetric=True, search=True),
    'int4, to nearest, blocks of 32, zero points, searched scales': int4(round_to_nearest, search=True),
    'int4, AWQ, blocks of 32, zero points': int4(awq),
    'int4, GPTQ, blocks of 32, symmetric, searched scales': int4(gptq, symmetric=True, search=True),
    'int4, GPTQ, blocks of 32, zero points, searched scales': GPTQ,
    'int4, GPTQ, blocks of 64, zero points, searched scales': int4(gptq, 64, search=True),
}
FLOAT = 'float'
in_bfloat16 = partial(torch.autocast, 'cpu', dtype=torch.bfloat16)
# name → (quantizer of the weights, kinds of activations: FLOAT, or how many columns of a row share a scale, None: all)
EMULATORS = {
    'float32': (None, [FLOAT]),
    'int4, GPTQ': (GPTQ, [FLOAT]),
    'int8': (INT8, [FLOAT, 64, 192, 256, None]),
    'int4, to nearest': (NEAREST, [FLOAT]),
}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', required=True, help='Hugging Face directory')
    parser.add_argument('--data', required=True, help='folder of gsm8k/{train,test}.jsonl and instructions/train.jsonl')
    parser.add_argument('--seeds', type=int, nargs='*', default=[0, 1, 2], help='none: the first table only')
    return parser.parse_args()


def settings(args, *more):
    """These settings as torch_round.py's options."""
    options = {
        '--model': args.model,
        '--client-data': f'{args.data}/gsm8k/train.jsonl',
        '--eval-data': f'{args.data}/gsm8k/test.jsonl',
        '--public-data': f'{args.data}/instructions/train.jsonl',
        '--tok-len': str(LENGTH),
        '--s': str(ADAPTER_LAYERS),
        '--targets': ','.join(PROJECTIONS),
    }
    return torch_round.parse([*(word for option in options.items() for word in option), *more])


def batches_of(round_args, path, count):
    examples = torch_round.Examples(round_args)
    source = examples.stream(path)
    batches = (examples.collate([next(source) for _ in range(BATCH)]) for _ in range(count))
    return [torch_round.tensors(round_args, batch) for batch in batches]


def response_losses(model, ids, labels, mask):
    """Cross-entropy of every labelled token; the head is computed for these only."""
    hidden = model.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
    labelled = labels[:, 1:] != torch_round.IGNORED
    return F.cross_entropy(model.lm_head(hidden[labelled]).float(), labels[:, 1:][labelled], reduction='none')


@torch.no_grad()
def held_out_loss(model, batches):
    with in_bfloat16():
        return torch.cat([response_losses(model, *batch) for batch in batches]).mean().item()


def full_model_table(round_args, full):
    held_out = batches_of(round_args, round_args.eval_data, HELD_OUT // BATCH)
    base = held_out_loss(full.model, held_out)
    rows = [['float32', f'{base:.3f}', '']]
    for name, quantize in FULL_MODEL.items():
        assign_weights(full.layers, full.quantized(range(len(full.layers)), quantize))
        loss = held_out_loss(full.model, held_out)
        rows.append([name, f'{loss:.3f}', f'{loss - base:+.3f}'])
        print(*rows[-1], file=sys.stderr, flush=True)
    assign_weights(full.layers, full.weights)
    return table(['full model', 'loss', 'difference'], rows)


class Federation:
    """One seed's emulator and client. `activations`: see EMULATORS."""

    def __init__(self, args, kept, seed):
        round_args = settings(args, '--keep', ','.join(map(str, kept)), '--seed', str(seed), '--data-seed', str(seed))
        self.models, self.activations = torch_round.Models(round_args), FLOAT
        self.start = torch_round.snapshot(self.models.lora)
        self.layers = self.models.student.model.layers[: len(kept)]
        self.public = batches_of(round_args, round_args.public_data, ALIGNMENT[0])
        self.private = batches_of(round_args, round_args.client_data, LOCAL[0])
        self.held_out = batches_of(settings(args), round_args.eval_data, HELD_OUT // BATCH)
        for layer in self.layers:
            for module in projections(layer).values():
                module.register_forward_pre_hook(self.rounded_inputs)

    def rounded_inputs(self, _module, inputs):
        return None if self.activations == FLOAT else rounded_activations(inputs[0], self.activations)

    def fit(self, parameters, rate, batches, loss_of):
        """AdamW with a linear warm-up and decay. Returns the loss of every step."""
        self.models.train_only(parameters)
        optimizer = torch.optim.AdamW(parameters.values(), lr=rate, weight_decay=0)
        factor = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 5, 1 - step / len(batches)))
        losses = []
        for batch in batches:
            with in_bfloat16():  # entered at each step, because it keeps the casts of weights
                loss = loss_of(*batch)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters.values(), 1)
            optimizer.step()
            factor.step()
            losses.append(loss.item())
        return losses

    def align(self):
        """Returns the similarity loss, mean of the last ten steps."""

        def loss_of(ids, _labels, mask):
            with torch.no_grad():
                target = self.models.teacher_block.hidden(ids, mask)
            return torch_round.similarity('l2-per-token', self.models.student_block.hidden(ids, mask), target, mask)

        return statistics.mean(self.fit(self.models.emulator, ALIGNMENT[1], self.public, loss_of)[-10:])

    def tune(self):
        start = [update.detach() for update in self.models.adapter_updates()]

        def loss_of(*batch):
            updates = zip(self.models.adapter_updates(), start, strict=True)
            moved = sum((now - then).pow(2).sum() for now, then in updates)
            return response_losses(self.models.student, *batch).mean() + PROXIMAL_WEIGHT * moved

        self.fit(self.models.adapter, LOCAL[1], self.private, loss_of)

    def measure(self, weights, kinds):
        """For each kind of activations: similarity, AdapEmu before the client's steps, AdapEmu and AdapFu after."""
        self.activations = FLOAT
        torch_round.assign(self.models.lora, self.start)
        assign_weights(self.layers, weights)
        distance = self.align()
        aligned = torch_round.snapshot(self.models.lora)
        for self.activations in kinds:
            torch_round.assign(self.models.lora, aligned)
            before = held_out_loss(self.models.student, self.held_out)
            self.tune()
            torch_round.assign(self.models.teacher_adapter, torch_round.snapshot(self.models.adapter))
            after = [held_out_loss(model, self.held_out) for model in (self.models.student, self.models.teacher)]
            yield [distance, before, *after]


def method_table(args, full):
    below = len(full.layers) - ADAPTER_LAYERS
    kept = full.most_influential(below, round(below * (1 - DROP)))
    weights = {
        name: full.quantized(kept, quantize) if quantize else [full.weights[i] for i in kept]
        for name, (quantize, _) in EMULATORS.items()
    }
    found = {}
    for seed in args.seeds:
        federation = Federation(args, kept, seed)
        for emulator, (_, kinds) in EMULATORS.items():
            for kind, values in zip(kinds, federation.measure(weights[emulator], kinds), strict=True):
                by = '' if kind == FLOAT else ', activations by row' + (f' and {kind} columns' if kind else '')
                name = emulator + by
                found.setdefault(name, []).append(values)
                print(seed, name, *values, file=sys.stderr, flush=True)

    def cell(values):
        return f'{statistics.mean(values):.3f}' + (f' ± {statistics.stdev(values):.3f}' if len(values) > 1 else '')

    rows = [[name, *map(cell, zip(*seeds, strict=True))] for name, seeds in found.items()]
    return table(['emulator', 'similarity loss', 'AdapEmu, aligned', 'AdapEmu, tuned', 'AdapFu, tuned'], rows)


def table(header, rows):
    lines = [header, ['---', *['---:'] * (len(header) - 1)], *rows]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in lines)


def main():
    args = parse()
    round_args = settings(args)
    full = FullModel(args.model, torch_round.Examples(round_args).stream(round_args.public_data))
    print(full_model_table(round_args, full), flush=True)
    if args.seeds:
        print(method_table(args, full))


if __name__ == '__main__':
    main()
