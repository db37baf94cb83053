#!/usr/bin/env python3
"""FedBiOT rounds in plain PyTorch, transformers and PEFT, without caching: the reference for benchmarks, an oracle for tests.

A decoder of n layers is cut at n_t = n - s. The full model is the teacher part layers[0:n_t] and the adapter layers[n_t:n].
The emulator keeps some of the teacher part's layers: those of the uniform layer drop, int(i·(n_t - 1)/(n_e - 1)), or of --keep.
The student is emulator + adapter, with LoRA on --targets in every layer, without LoRA dropout.

alignment    the emulator's LoRA is trained on public data, the adapter's is fixed:
               loss = similarity(h_S, h_T) + kd_weight · KL
             h: hidden states at the end of the emulator and of the teacher part; KL: mean over tokens of KL(z_T || z_S), where
             the logits z_T are the teacher part's through the current adapter. Without kd_weight only the two blocks are run.
client       the adapter's LoRA is trained on private data, the emulator's is fixed:
               loss = causal-LM cross-entropy, mean over labelled tokens + prox_weight · Σ_W ||scale·(B A - B0 A0)||²
aggregation  mean of the clients' LoRA A and of their LoRA B, weighted by samples

Every phase and every client starts with a fresh optimizer. Means exclude positions that the attention mask hides.

    OMP_NUM_THREADS=2 OMP_WAIT_POLICY=PASSIVE python torch_round.py --model DIR --out OUT [options] > result.json

OUT contains
  init_lora, after_align_rR, clientC_rR, aggregated_rR, final_lora (.safetensors), tensors named
      layers.J.self_attn.q_proj.lora_A with J counted in the student's layers: the emulator's first, then the adapter's;
  batches.jsonl, in order of use: {phase: align|client, round, client, step, input_ids, labels, attention_mask}; --batches and
      --init-lora replay such a run, also one of `fedbiot run --trace`;
  result.json, per step: loss, its parts, grad_norm (before clipping), T, s (seconds).
On AMD processors, torch's MKL takes a slow path, at about half the speed of the same torch on an Intel processor with AVX-512.
"""

import argparse
import copy
import json
import os
import random
import resource
import statistics
import sys
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import peft
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file

PROMPT_WITH_INPUT = (
    'Below is an instruction that describes a task, paired with an input that provides further context. '
    'Write a response that appropriately completes the request.\n\n'
    '### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:'
)
PROMPT = (
    'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n'
    '### Instruction:\n{instruction}\n\n### Response:'
)
IGNORED = -100  # the label of a token without loss


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    data = os.environ.get('FEDBIOT_TEST_DATA')
    add('--model', required=True, help='Hugging Face directory')
    add('--out', default='torch_round_out')
    add('--client-data', default=data and f'{data}/gsm8k/train.jsonl', help='default: gsm8k/train.jsonl in $FEDBIOT_TEST_DATA')
    add(
        '--public-data',
        default=data and f'{data}/instructions/train.jsonl',
        help='default: instructions/train.jsonl in $FEDBIOT_TEST_DATA',
    )
    add('--eval-data', default=data and f'{data}/gsm8k/test.jsonl', help='default: gsm8k/test.jsonl in $FEDBIOT_TEST_DATA')
    add('--eval-n', type=int, default=0, help='held-out examples for AdapEmu/AdapFu loss before and after (0: none)')
    add('--batches', help='replay this batches.jsonl: its phases and batches instead of --rounds … --batch-size')
    add('--tok-len', type=int, default=256, help='sequences are truncated to this many tokens')
    add('--s', type=int, default=4, help='adapter layers at the top')
    add('--drop', type=float, default=0.5, help="share of the teacher part's layers that the emulator lacks")
    add('--keep', help='layers of the emulator, e.g. 0,1,5, instead of the uniform drop')
    add('--rounds', type=int, default=1)
    add('--clients', type=int, default=3)
    add('--initial-align', type=int, default=0, help='extra alignment phases before round 0')
    add('--align-first', type=int, default=1, help='1: every round starts with alignment; 0: round 0 does not')
    add('--align-steps', type=int, default=10)
    add('--client-steps', type=int, default=30)
    add('--batch-size', type=int, default=1)
    add('--similarity', choices=[*SIMILARITIES, 'layerwise'], default='l2')
    add('--kd-weight', type=float, default=0.0)
    add('--prox-weight', type=float, default=0.0)
    add('--always-full', action='store_true', help="compute KL also when kd_weight is 0, as the authors' code does")
    add('--optimizer', choices=['sgd', 'adamw'], default='sgd')
    add('--lr', type=float, default=5e-4)
    add('--align-lr', type=float, help='default: --lr')
    add('--betas', type=lambda text: tuple(map(float, text.split(','))), default=(0.9, 0.999), help='of AdamW, e.g. 0.9,0.95')
    add('--eps', type=float, default=1e-8, help='epsilon of AdamW')
    add('--weight-decay', type=float, default=0.0)
    add('--clip-norm', type=float, default=0.0, help='largest global norm of a gradient (0: not clipped)')
    add('--lora-r', type=int, default=8)
    add('--lora-alpha', type=float, default=16)
    add('--targets', default='q_proj,v_proj')
    add('--init-b-std', type=float, default=0.0, help='standard deviation of the initial LoRA B (0: zeros, as PEFT)')
    add('--init-lora', help='safetensors with the initial LoRA weights, named as in init_lora.safetensors')
    add('--seed', type=int, default=0, help='seed of the LoRA weights')
    add('--data-seed', type=int, default=0, help='seed of the order of examples')
    add('--dtype', default='float32', choices=['float32', 'float64', 'bfloat16'])
    add('--save-dtype', choices=['float32', 'float64', 'bfloat16'], help='dtype of the LoRA files (default: --dtype)')
    add('--attn', default='sdpa', choices=['sdpa', 'eager'])
    add('--threads', type=int, default=2)
    add('--device', default='cpu', choices=['cpu', 'cuda'])
    add(
        '--rehearse',
        action='store_true',
        help="compute the gradient of a phase's longest batch before its first step, without measuring it",
    )
    add(
        '--repeat-timing',
        type=int,
        default=1,
        help='repeat the whole run from the same state; report the times of all and the results of the first',
    )
    args = parser.parse_args(argv)
    needed = [] if args.batches else ['client_data', 'public_data']
    missing = [name for name in needed + ['eval_data'] * bool(args.eval_n) if not getattr(args, name)]
    if missing:
        parser.error(f'--{missing[0].replace("_", "-")} is needed: neither it nor FEDBIOT_TEST_DATA is set')
    return args


# ------------------------------------------------------------------------------------------------------------- models


def kept_layers(args, teacher_layers):
    """The layers of the teacher part that the emulator keeps."""
    if args.keep:
        kept = [int(layer) for layer in args.keep.split(',')]
        if kept != sorted(set(kept)) or not 0 <= kept[0] <= kept[-1] < teacher_layers:
            raise SystemExit(f'--keep must name layers from 0 to {teacher_layers - 1} in rising order, not {args.keep}')
        return kept
    count = round(teacher_layers * (1 - args.drop))
    stride = (teacher_layers - 1) / (count - 1) if count > 1 else 0
    return [int(i * stride) for i in range(count)]


def with_layers(model, chosen):
    """A model of copies of the chosen layers; embedding, final norm and head are shared with `model`."""
    shared = [model.model.embed_tokens, model.lm_head, model.model.norm, *model.model.embed_tokens.parameters()]
    memo = {id(part): part for part in shared}
    memo[id(model.model.layers)] = torch.nn.ModuleList([copy.deepcopy(model.model.layers[i]) for i in chosen])
    chosen_model = copy.deepcopy(model, memo)
    for j, layer in enumerate(chosen_model.model.layers):
        layer.self_attn.layer_idx = j
    config = chosen_model.config
    if getattr(config, 'layer_types', None):
        config.layer_types = [config.layer_types[i] for i in chosen]
    config.num_hidden_layers = len(chosen)
    return chosen_model


class Block:
    """A model's first `count` layers, whose outputs (of the layers `observed`) hooks collect."""

    def __init__(self, model, count, observed):
        self.model, self.count, self.layers = model, count, model.config.num_hidden_layers
        self.observed, self.outputs = observed, {}
        for i in observed:
            model.model.layers[i].register_forward_hook(lambda _module, _inputs, output, i=i: self.outputs.__setitem__(i, output))

    def collected(self):
        found = [self.outputs[i] for i in self.observed]
        self.outputs.clear()
        return [output[0] if isinstance(output, tuple) else output for output in found]

    def hidden(self, ids, mask):
        """Outputs of the observed layers; nothing behind the block is computed."""
        self.model.config.num_hidden_layers = self.count
        try:
            self.model.model(input_ids=ids, attention_mask=mask, use_cache=False)
        finally:
            self.model.config.num_hidden_layers = self.layers
        return self.collected()

    def hidden_and_logits(self, ids, mask):
        logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        return self.collected(), logits


def lora_parameters(model, first, end, name_offset=0):
    """The LoRA parameters of layers first … end - 1, by name; J in the name is the layer's index minus name_offset."""
    return {
        f'layers.{j - name_offset}.{name.replace(".default.weight", "")}': parameter
        for j in range(first, end)
        for name, parameter in model.model.layers[j].named_parameters()
        if 'lora_' in name
    }


def snapshot(parameters):
    return {name: p.detach().clone() for name, p in parameters.items()}


@torch.no_grad()
def assign(parameters, values):
    for name, p in parameters.items():
        p.copy_(values[name])


class Models:
    """Student and teacher, and their LoRA weights: the student's `emulator` and `adapter`, the full model's `teacher_adapter`."""

    def __init__(self, args):
        full = transformers.AutoModelForCausalLM.from_pretrained(
            args.model, dtype=getattr(torch, args.dtype), attn_implementation=args.attn
        )
        full.to(args.device).requires_grad_(False).eval()
        full.config.use_cache = False
        self.layers = full.config.num_hidden_layers
        split = self.layers - args.s
        self.kept = kept_layers(args, split)
        kept = len(self.kept)
        self.student_layers = kept + args.s
        self.scale = args.lora_alpha / args.lora_r
        lora = dict(
            task_type='CAUSAL_LM',
            r=args.lora_r,
            lora_alpha=args.lora_alpha,
            lora_dropout=0.0,
            target_modules=args.targets.split(','),
        )
        torch.manual_seed(args.seed)
        student = peft.get_peft_model(with_layers(full, [*self.kept, *range(split, self.layers)]), peft.LoraConfig(**lora))
        teacher = peft.get_peft_model(full, peft.LoraConfig(**lora, layers_to_transform=list(range(split, self.layers))))
        self.student, self.teacher = student.train().base_model.model, teacher.eval().requires_grad_(False).base_model.model

        self.emulator = lora_parameters(self.student, 0, kept)
        self.adapter = lora_parameters(self.student, kept, self.student_layers)
        self.teacher_adapter = lora_parameters(self.teacher, split, self.layers, name_offset=split - kept)
        self.lora = {**self.emulator, **self.adapter}
        self.initialize(args)

        layerwise = args.similarity == 'layerwise'
        self.student_block = Block(self.student, kept, list(range(kept)) if layerwise else [kept - 1])
        self.teacher_block = Block(self.teacher, split, self.kept if layerwise else [split - 1])

    def initialize(self, args):
        if args.init_lora:
            assign(self.lora, load_file(args.init_lora))
        elif args.init_b_std:
            generator = torch.Generator().manual_seed(args.seed + 1)
            assign(
                self.lora,
                {
                    name: torch.randn(p.shape, generator=generator) * args.init_b_std if name.endswith('lora_B') else p
                    for name, p in self.lora.items()
                },
            )

    def train_only(self, chosen):
        for p in self.student.parameters():
            p.requires_grad_(False)
        for p in chosen.values():
            p.requires_grad_(True)

    def adapter_updates(self):
        """scale·B·A of every adapter projection."""
        return [
            self.scale * (self.adapter[name.replace('lora_A', 'lora_B')] @ p)
            for name, p in self.adapter.items()
            if name.endswith('lora_A')
        ]


# --------------------------------------------------------------------------------------------------------------- data


@dataclass
class Phase:
    """Consecutive steps of one optimizer: an alignment (client -1) or one client's local update."""

    kind: str
    round: int
    client: int
    batches: list


class Examples:
    """Batches of tokenized examples, in an order drawn from --data-seed."""

    def __init__(self, args):
        self.args = args
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
        self.pad = self.tokenizer.pad_token_id or 0

    def texts(self, path):
        """(prompt, response with end token) of every record."""
        with open(path, encoding='utf8') as file:
            for line in file:
                record = json.loads(line)
                if 'question' in record:
                    record = dict(instruction=record['question'], output=record['answer'].replace('####', 'The answer is'))
                template = PROMPT_WITH_INPUT if record.get('input') else PROMPT
                prompt = template.format(instruction=record['instruction'], input=record.get('input'))
                yield prompt, record['output'] + self.tokenizer.eos_token

    def encode(self, prompt, response):
        before, ids = self.tokenizer(prompt).input_ids, self.tokenizer(prompt + response).input_ids
        if ids[: len(before)] != before:  # a token spans the end of the prompt
            ids = before + self.tokenizer(response, add_special_tokens=False).input_ids
        ids = ids[: self.args.tok_len]
        masked = min(len(before), len(ids))
        return ids, [IGNORED] * masked + ids[masked:]

    def stream(self, path, part=0, parts=1):
        """Repeats the encoded examples of one shard forever, without those whose response was truncated completely."""
        rows = list(self.texts(path))
        order = list(range(len(rows)))
        random.Random(self.args.data_seed).shuffle(order)
        while True:
            for i in order[part::parts]:
                ids, labels = self.encode(*rows[i])
                if any(label != IGNORED for label in labels[1:]):
                    yield ids, labels

    def collate(self, items):
        length = max(len(ids) for ids, _ in items)
        return dict(
            input_ids=[ids + [self.pad] * (length - len(ids)) for ids, _ in items],
            labels=[labels + [IGNORED] * (length - len(labels)) for _, labels in items],
            attention_mask=[[1] * len(ids) + [0] * (length - len(ids)) for ids, _ in items],
        )


def planned(args):
    """The phases according to the options."""
    examples = Examples(args)
    public = examples.stream(args.public_data)
    private = [examples.stream(args.client_data, client, args.clients) for client in range(args.clients)]

    def phase(kind, round_, client):
        source, steps = (public, args.align_steps) if kind == 'align' else (private[client], args.client_steps)
        batches = [
            dict(
                phase=kind,
                round=round_,
                client=client,
                step=step,
                **examples.collate([next(source) for _ in range(args.batch_size)]),
            )
            for step in range(steps)
        ]
        return Phase(kind, round_, client, batches)

    phases = [phase('align', -1 - i, -1) for i in range(args.initial_align)]
    for round_ in range(args.rounds):
        if round_ > 0 or args.align_first:
            phases.append(phase('align', round_, -1))
        phases += [phase('client', round_, client) for client in range(args.clients)]
    return phases


def replayed(path):
    """The phases of an earlier run."""
    batches = [json.loads(line) for line in Path(path).read_text().splitlines()]
    runs = groupby(batches, key=lambda batch: (batch['phase'], batch['round'], batch['client']))
    return [Phase(*key, list(group)) for key, group in runs]


def tensors(args, batch):
    """ids, labels and attention mask. There is no mask if nothing is padded, so that torch can use its faster kernels."""
    padded = not all(map(all, batch['attention_mask']))
    ids, labels, mask = (torch.tensor(batch[name], device=args.device) for name in ('input_ids', 'labels', 'attention_mask'))
    return ids, labels, mask if padded else None


# ------------------------------------------------------------------------------------------------------------- losses


def real_tokens(x, mask):
    """[tokens, d] of [batch, length, d], without the padding."""
    return x.flatten(0, 1) if mask is None else x[mask.bool()]


def l2(student, teacher):
    """mean(((t - s)/rms(t))²), rms over the whole tensor."""
    return (teacher - student).div(teacher.pow(2).mean().sqrt()).pow(2).mean()


def l2_per_token(student, teacher):
    """Mean over tokens of ||t - s||²/||t||²."""
    return ((teacher - student).pow(2).sum(-1) / teacher.pow(2).sum(-1)).mean()


def cosine(student, teacher):
    """Mean over tokens of -cos(s, t)."""
    return -F.cosine_similarity(student, teacher, dim=-1).mean()


SIMILARITIES = {'l2': l2, 'l2-per-token': l2_per_token, 'cosine': cosine}


def similarity(kind, student, teacher, mask):
    """Similarity of the observed hidden states. layerwise: l2 per token, summed over the kept layers, each against its original."""
    measure = SIMILARITIES.get(kind, l2_per_token)

    def tokens(x):
        return real_tokens(x.float() if x.dtype == torch.bfloat16 else x, mask)

    return sum(measure(tokens(s), tokens(t)) for s, t in zip(student, teacher, strict=True))


def divergence(student, teacher, mask):
    """Mean over tokens of KL(teacher || student) of logits."""
    student, teacher = (real_tokens(x.float() if x.dtype == torch.bfloat16 else x, mask) for x in (student, teacher))
    return F.kl_div(F.log_softmax(student, -1), F.softmax(teacher, -1), reduction='sum') / len(teacher)


# -------------------------------------------------------------------------------------------------------------- phases


def optimizer_of(args, parameters, lr):
    if args.optimizer == 'sgd':
        return torch.optim.SGD(parameters.values(), lr=lr, weight_decay=args.weight_decay)
    return torch.optim.AdamW(parameters.values(), lr=lr, betas=args.betas, eps=args.eps, weight_decay=args.weight_decay)


def train(args, models, parameters, lr, batches, loss_of):
    """One optimizer step per batch. loss_of(ids, labels, mask) returns the loss and further values to record."""
    models.train_only(parameters)
    optimizer = optimizer_of(args, parameters, lr)
    if args.rehearse:
        longest = max(batches, key=lambda batch: len(batch['input_ids'][0]))
        loss_of(*tensors(args, longest))[0].backward()
    steps = []
    for batch in batches:
        started = time.time()
        ids, labels, mask = tensors(args, batch)
        loss, parts = loss_of(ids, labels, mask)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(torch.sqrt(sum((p.grad.double() ** 2).sum() for p in parameters.values())))
        if args.clip_norm:
            torch.nn.utils.clip_grad_norm_(parameters.values(), args.clip_norm)
        optimizer.step()
        steps.append(
            dict(
                loss=loss.item(),
                **{name: None if x is None else x.item() for name, x in parts.items()},
                grad_norm=norm,
                T=ids.shape[1],
                s=round(time.time() - started, 4),
            )
        )
    return steps


def align(args, models, batches):
    assign(models.teacher_adapter, snapshot(models.adapter))

    def loss_of(ids, _labels, mask):
        student, teacher = models.student_block, models.teacher_block
        if not (args.kd_weight or args.always_full):
            with torch.no_grad():
                target = teacher.hidden(ids, mask)
            loss = similarity(args.similarity, student.hidden(ids, mask), target, mask)
            return loss, {args.similarity: loss, 'kl': None}
        with torch.no_grad():
            target, teacher_logits = teacher.hidden_and_logits(ids, mask)
        hidden, student_logits = student.hidden_and_logits(ids, mask)
        distance, kl = similarity(args.similarity, hidden, target, mask), divergence(student_logits, teacher_logits, mask)
        return distance + args.kd_weight * kl, {args.similarity: distance, 'kl': kl}

    return train(args, models, models.emulator, args.lr if args.align_lr is None else args.align_lr, batches, loss_of)


def tune(args, models, batches):
    start = [update.detach() for update in models.adapter_updates()]

    def loss_of(ids, labels, mask):
        lm = models.student(input_ids=ids, attention_mask=mask, labels=labels, use_cache=False).loss
        if not args.prox_weight:
            return lm, dict(lm=lm, prox=None)
        prox = sum((now - then).pow(2).sum() for now, then in zip(models.adapter_updates(), start, strict=True))
        return lm + args.prox_weight * prox, dict(lm=lm, prox=prox)

    return train(args, models, models.adapter, args.lr, batches, loss_of)


def weighted_mean(updates):
    """FedAvg of (weights, samples)."""
    total = sum(samples for _, samples in updates)
    return {name: sum(weights[name] * samples for weights, samples in updates) / total for name in updates[0][0]}


def run_phases(args, models, phases, save):
    """Runs all phases in order and returns a record of each. `save(name, parameters)` is called after each."""
    records, start, updates = [], None, []
    for i, phase in enumerate(phases):
        wall, cpu = time.time(), time.process_time()
        if phase.kind == 'align':
            steps = align(args, models, phase.batches)
            save(f'after_align_r{phase.round}', models.lora)
        else:
            start = snapshot(models.adapter) if not updates else start
            assign(models.adapter, start)
            steps = tune(args, models, phase.batches)
            save(f'client{phase.client}_r{phase.round}', models.adapter)
            updates.append((snapshot(models.adapter), sum(len(batch['input_ids']) for batch in phase.batches)))
            following = phases[i + 1] if i + 1 < len(phases) else None
            if following is None or (following.kind, following.round) != (phase.kind, phase.round):
                assign(models.adapter, weighted_mean(updates))
                updates = []
                save(f'aggregated_r{phase.round}', models.adapter)
        record = dict(
            phase=phase.kind,
            round=phase.round,
            client=phase.client,
            wall_s=round(time.time() - wall, 3),
            cpu_s=round(time.process_time() - cpu, 3),
            load1=os.getloadavg()[0],
            median_step_s=statistics.median(x['s'] for x in steps),
            min_step_s=min(x['s'] for x in steps),
            steps=steps,
        )
        records.append(record)
        print(
            f'{phase.kind} r{phase.round} c{phase.client}: {record["wall_s"]} s (cpu {record["cpu_s"]}), '
            f'loss {steps[0]["loss"]:.6f} -> {steps[-1]["loss"]:.6f}',
            file=sys.stderr,
            flush=True,
        )
    return records


@torch.no_grad()
def evaluate(args, models):
    """Mean over held-out examples of the loss of emulator + adapter (AdapEmu) and of full model + adapter (AdapFu)."""
    if not args.eval_n:
        return None
    started = time.time()
    assign(models.teacher_adapter, snapshot(models.adapter))
    examples = Examples(args)
    rows = examples.stream(args.eval_data)
    batches = [tensors(args, examples.collate([next(rows)])) for _ in range(args.eval_n)]
    losses = {
        name: statistics.mean(model(input_ids=ids, labels=labels, use_cache=False).loss.item() for ids, labels, _ in batches)
        for name, model in (('adapemu', models.student), ('adapfu', models.teacher))
    }
    return dict(losses, n=args.eval_n, s=round(time.time() - started, 2))


def timing_of(runs):
    """Seconds of each kind of phase, over all repetitions."""
    timing = {}
    for kind in ('align', 'client'):
        phases = [phase for run in runs for phase in run if phase['phase'] == kind]
        if not phases:
            continue
        seconds = dict(
            wall=[p['wall_s'] for p in phases],
            cpu=[p['cpu_s'] for p in phases],
            step=[x['s'] for p in phases for x in p['steps']],
        )
        timing[kind] = dict(n=len(phases))
        for name, values in seconds.items():
            timing[kind] |= {f'{name}_median_s': statistics.median(values), f'{name}_min_s': min(values)}
    return timing


def versions(args):
    """Versions and hardware on which measurements depend, besides the options."""
    found = dict(
        python=sys.version.split()[0], torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__
    )
    if args.device == 'cuda':
        found |= dict(GPU=torch.cuda.get_device_name(), CUDA=torch.version.cuda)
    return found


def main(argv=None):
    """Runs the program and returns the contents of result.json."""
    args = parse(argv)
    started = time.time()
    torch.set_num_threads(args.threads)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    models = Models(args)
    initial = snapshot(models.lora)
    save_dtype = getattr(torch, args.save_dtype or args.dtype)

    def save(name, parameters, metadata=None):
        save_file(
            {key: p.detach().to('cpu', save_dtype).contiguous() for key, p in parameters.items()}, out / f'{name}.safetensors', metadata
        )

    save('init_lora', initial, dict(emu_map=json.dumps(models.kept), scale=str(models.scale), args=json.dumps(vars(args))))
    phases = replayed(args.batches) if args.batches else planned(args)
    (out / 'batches.jsonl').write_text(''.join(json.dumps(batch) + '\n' for phase in phases for batch in phase.batches))
    setup = time.time() - started

    before = evaluate(args, models)
    runs = []
    for repetition in range(args.repeat_timing):
        assign(models.lora, initial)
        runs.append(run_phases(args, models, phases, save if repetition == 0 else lambda *_: None))
    save('final_lora', models.lora)
    after = evaluate(args, models)

    losses = [[step['loss'] for phase in run for step in phase['steps']] for run in runs]
    result = dict(
        args=vars(args),
        versions=versions(args),
        layers=models.layers,
        emu_map=models.kept,
        student_layers=models.student_layers,
        emu_lora_params=sum(p.numel() for p in models.emulator.values()),
        adapter_lora_params=sum(p.numel() for p in models.adapter.values()),
        setup_s=round(setup, 2),
        timing=timing_of(runs),
        eval_before=before,
        eval_after=after,
        deterministic_repeats=all(run == losses[0] for run in losses),
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        phases=runs[0],
    )
    (out / 'result.json').write_text(json.dumps(result, indent=1))
    return result


if __name__ == '__main__':
    print(json.dumps(main()))
