#!/usr/bin/env python3
"""Reference values of every differentiable operator of worker/engine, and of its optimizers, from PyTorch.

Writes ops.safetensors (tensors) and ops.json (index) into a folder (default test/fixtures):

    {cases: [{name, op, attributes, inputs: [tensor], output: tensor, upstream: tensor, gradients: [tensor | null]}],
     optimizers: [{name, kind, options, learningRates: [number], parameters: tensor, gradients: tensor, trajectory: tensor,
                   norms: [number]}]}

`op` is the engine's function, or what its graphs compose of several. Inputs are float32 (indices, labels int32; `cast` bfloat16);
output and gradients are computed from them in float64 and then rounded, so they carry no error of their own. `gradients` are
those of sum(output * upstream); null where an input takes none. With the attribute `twice` the one input is both operands.

Of an optimizer, `gradients` [steps, n] are fed one a step and `trajectory` [steps, n] holds the parameters after each; `norms`
are the gradients' L2 norms before clipping.
"""

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

GENERATOR = torch.Generator()


def normal(*shape, scale=1.0, shift=0.0):
    return torch.randn(shape, generator=GENERATOR) * scale + shift


def positive(*shape):
    return torch.rand(shape, generator=GENERATOR) * 2 + 0.25


def integers(*values):
    return torch.tensor(values, dtype=torch.int32)


class Oracle:
    def __init__(self):
        self.tensors, self.cases, self.optimizers = {}, [], []

    def store(self, name, tensor):
        if tensor.dtype == torch.float64:
            tensor = tensor.float()
        self.tensors[name] = tensor.detach().clone().contiguous()
        return name

    def case(self, name, op, inputs, function, attributes=None, frozen=()):
        """Records function(*inputs). Float inputs whose position is not in `frozen` get a gradient."""
        GENERATOR.manual_seed(len(self.cases))
        inputs = inputs() if callable(inputs) else inputs
        exact = [x.double().requires_grad_(i not in frozen) if x.dtype == torch.float32 else x for i, x in enumerate(inputs)]
        output = function(*exact)
        upstream = normal(*output.shape)
        trained = [x for x in exact if x.requires_grad]
        found = iter(torch.autograd.grad(output, trained, upstream.double()) if trained else ())
        gradients = [self.store(f'{name}/gradient{i}', next(found)) if x.requires_grad else None for i, x in enumerate(exact)]
        self.cases.append(
            dict(
                name=name,
                op=op,
                attributes=attributes or {},
                inputs=[self.store(f'{name}/input{i}', x) for i, x in enumerate(inputs)],
                output=self.store(f'{name}/output', output),
                upstream=self.store(f'{name}/upstream', upstream),
                gradients=gradients,
            )
        )

    def optimizer(
        self, name, kind, learning_rates, *, betas=(0.9, 0.999), epsilon=1e-8, weight_decay=0.0, momentum=0.0, clip_norm=0.0
    ):
        GENERATOR.manual_seed(1000 + len(self.optimizers))
        steps, n = len(learning_rates), 13
        start, gradients = normal(n), normal(steps, n)
        gradients[1] *= 1e-3  # below any clipping norm
        gradients[:, 0] = 0  # a parameter that weight decay alone moves
        p = start.double().requires_grad_()
        if kind == 'AdamW':
            optimizer = torch.optim.AdamW([p], betas=betas, eps=epsilon, weight_decay=weight_decay)
        else:
            optimizer = torch.optim.SGD([p], lr=1, momentum=momentum, weight_decay=weight_decay)
        trajectory, norms = [], []
        for rate, gradient in zip(learning_rates, gradients, strict=True):
            optimizer.param_groups[0]['lr'] = rate
            p.grad = gradient.double()
            norms.append(float(torch.nn.utils.clip_grad_norm_([p], clip_norm or math.inf)))
            optimizer.step()
            trajectory.append(p.detach().clone())
        self.optimizers.append(
            dict(
                name=name,
                kind=kind,
                learningRates=learning_rates,
                norms=norms,
                options=dict(betas=betas, epsilon=epsilon, weightDecay=weight_decay, momentum=momentum, clipNorm=clip_norm),
                parameters=self.store(f'{name}/parameters', start),
                gradients=self.store(f'{name}/gradients', gradients),
                trajectory=self.store(f'{name}/trajectory', torch.stack(trajectory)),
            )
        )

    def write(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors, folder / 'ops.safetensors')
        lines = {key: ',\n'.join(f'  {json.dumps(entry)}' for entry in getattr(self, key)) for key in ('cases', 'optimizers')}
        text = ',\n'.join(f'"{key}": [\n{value}\n]' for key, value in lines.items())
        (folder / 'ops.json').write_text(f'{{\n{text}\n}}\n')


def oriented(x, transposed):
    return x.mT if transposed else x


def products(o: Oracle):
    for transA in (False, True):
        for transB in (False, True):
            mark = f'{"t" if transA else "n"}{"t" if transB else "n"}'
            attributes = dict(transA=transA, transB=transB, alpha=0.75)

            def multiply(a, b, c=None, transA=transA, transB=transB):
                y = 0.75 * (oriented(a, transA) @ oriented(b, transB))
                return y if c is None else y + c

            def factors(*lead, transA=transA, transB=transB):
                return [oriented(normal(*lead, 5, 3), transA).contiguous(), oriented(normal(*lead, 3, 7), transB).contiguous()]

            o.case(f'gemm/{mark}', 'gemm', lambda: factors(), multiply, attributes)
            o.case(f'gemm/{mark}/addend', 'gemm', lambda: [*factors(), normal(5, 7)], multiply, attributes)
            o.case(f'matmul/{mark}', 'matmul', lambda: factors(2, 3), multiply, attributes)
    o.case('gemm/plain', 'gemm', lambda: [normal(4, 6), normal(6, 2)], lambda a, b: a @ b)
    o.case('matmul/plain', 'matmul', lambda: [normal(2, 1, 4, 6), normal(2, 1, 6, 2)], lambda a, b: a @ b)


def elementwise(o: Oracle):
    shapes = dict(
        same=((2, 3, 4), (2, 3, 4)),
        scalar=((2, 3, 4), ()),
        scalarFirst=((), (3, 4)),
        row=((2, 3, 4), (4,)),
        column=((2, 3, 4), (3, 1)),
        both=((2, 1, 4), (3, 1)),
        keptOnes=((2, 3, 4), (1, 1, 4)),
    )
    operators = dict(add=torch.add, sub=torch.sub, mul=torch.mul, div=torch.div)
    for op, function in operators.items():
        for kind, (a, b) in shapes.items():
            o.case(f'{op}/{kind}', op, lambda: [normal(*a), positive(*b) if op == 'div' else normal(*b)], function)
        # The same value twice: its gradient is the sum over both uses.
        o.case(f'{op}/itself', op, lambda: [positive(3, 4)], lambda x: function(x, x), dict(twice=True))
    unary = dict(
        neg=torch.neg,
        exp=torch.exp,
        log=torch.log,
        sqrt=torch.sqrt,
        sigmoid=torch.sigmoid,
        silu=F.silu,
        square=torch.square,
    )
    for op, function in unary.items():
        o.case(op, op, lambda: [positive(2, 5) if op in ('log', 'sqrt') else normal(2, 5)], function)
    extremes = torch.tensor([-90.0, -30, -8, -0.0, 0, 8, 30, 80])
    for op in ('sigmoid', 'silu'):
        o.case(f'{op}/extremes', op, [extremes], unary[op])
    o.case('swiglu', 'swiglu', lambda: [normal(3, 6, scale=3), normal(3, 6)], lambda gate, up: F.silu(gate) * up)


def normalizations(o: Oracle):
    o.case('softmax', 'softmax', lambda: [normal(2, 3, 7)], lambda x: x.softmax(-1))
    o.case('softmax/large', 'softmax', lambda: [normal(3, 7, scale=60)], lambda x: x.softmax(-1))

    def rms_norm(epsilon):
        return lambda x, w: w * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon)

    o.case('rmsNorm', 'rmsNorm', lambda: [normal(2, 3, 8), normal(8, scale=0.2, shift=1)], rms_norm(1e-5), dict(epsilon=1e-5))
    o.case('rmsNorm/epsilon', 'rmsNorm', lambda: [normal(4, 8, scale=0.01), normal(8)], rms_norm(1e-3), dict(epsilon=1e-3))


def shapes(o: Oracle):
    for op, function in dict(reduceSum=torch.sum, reduceMean=torch.mean).items():
        for axes in ((2,), (0,), (0, 2), (0, 1, 2), (-1,)):
            for keep in (False, True):
                name = f'{op}/{",".join(map(str, axes))}{"/kept" if keep else ""}'
                o.case(
                    name,
                    op,
                    lambda: [normal(2, 3, 4)],
                    lambda x: function(x, dim=axes, keepdim=keep),
                    dict(axes=axes, keepDimensions=keep),
                )
    o.case('reshape', 'reshape', lambda: [normal(2, 3, 4)], lambda x: x.reshape(6, 4), dict(shape=(6, 4)))
    for permutation in ((1, 0), (0, 2, 1, 3), (3, 0, 1, 2)):
        size = (2, 3, 4, 5)[: len(permutation)]
        o.case(
            f'transpose/{"".join(map(str, permutation))}',
            'transpose',
            lambda: [normal(*size)],
            lambda x: x.permute(permutation),
            dict(permutation=permutation),
        )
    o.case('concat/0', 'concat', lambda: [normal(2, 3), normal(1, 3)], lambda *xs: torch.cat(xs, 0), dict(axis=0))
    o.case('concat/1', 'concat', lambda: [normal(2, 3), normal(2, 1), normal(2, 4)], lambda *xs: torch.cat(xs, 1), dict(axis=1))
    # `parts` of the split, joined again in the order given: a part that is not used must get a zero gradient.
    for axis, sizes, parts in ((0, (5, 2, 1), (0, 1, 2)), (0, (5, 2, 1), (1,)), (1, (3, 4), (1, 0)), (1, (2, 2, 3), (2, 0))):
        size = (sum(sizes), 3) if axis == 0 else (2, sum(sizes))
        o.case(
            f'split/{axis}/{",".join(map(str, parts))}',
            'split',
            lambda: [normal(*size)],
            lambda x: torch.cat([x.split(sizes, axis)[i] for i in parts], axis),
            dict(axis=axis, sizes=sizes, parts=parts),
        )
    o.case('cast/bfloat16', 'cast', lambda: [normal(4, 9, scale=10).bfloat16()], lambda x: x.double(), dict(to='float32'))


def gathers(o: Oracle):
    repeated = integers(4, 0, 4, 4, 2)  # rows 1, 3 and 5 of 6 are never named
    o.case('gatherRows', 'gatherRows', lambda: [normal(6, 3), repeated], lambda x, i: x[i.long()])
    o.case(
        'scatterRows',
        'scatterRows',
        lambda: [normal(5, 3), repeated, torch.zeros(6, 3)],
        lambda y, i, like: torch.zeros_like(like).index_add(0, i.long(), y),
        frozen=(2,),
    )


def masks(length, keys, lengths):
    """Additive causal mask [batch, 1, 1, length, keys] that also hides the right padding; queries are the last positions."""
    allowed = (
        torch.ones(length, keys).tril(keys - length).bool()[None] & (torch.arange(keys) < torch.tensor(lengths)[:, None])[:, None]
    )
    return torch.where(allowed, 0.0, -1e9)[:, None, None]


def attention(q, k, v, mask):
    """q [b, h, t, d]; k, v [b, kv, keys, d]; mask broadcasts to [b, kv, h/kv, t, keys]."""
    b, h, t, d = q.shape
    grouped = q.view(b, k.shape[1], -1, t, d)
    p = (grouped @ k.unsqueeze(2).mT / math.sqrt(d) + mask).softmax(-1)
    return (p @ v.unsqueeze(2)).reshape(b, h, t, d)


def rotary(x, cos, sin):
    """The half-split rule of x [b, h, t, d]; cos, sin [b, t, d/2]."""
    a, b = x.chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def transformer(o: Oracle):
    def angles():
        return torch.stack([torch.arange(5.0), torch.arange(5.0) + 3])[..., None] * 100 ** -(torch.arange(4.0) / 4)

    o.case('rotary', 'rotary', lambda: [normal(2, 3, 5, 8), angles().cos(), angles().sin()], rotary, frozen=(1, 2))
    for name, h, kv, t, keys, mask in (
        ('multiHead', 4, 4, 6, 6, masks(6, 6, [6])),
        ('grouped', 4, 2, 6, 6, masks(6, 6, [6])),
        ('padded', 6, 2, 5, 5, masks(5, 5, [5, 3])),
        ('oneKey', 3, 1, 4, 4, masks(4, 4, [4])),
        ('cached', 4, 2, 2, 7, masks(2, 7, [7, 7])),
    ):
        o.case(
            f'attention/{name}',
            'attention',
            lambda: [normal(2, h, t, 8), normal(2, kv, keys, 8), normal(2, kv, keys, 8), mask],
            attention,
            frozen=(3,),
        )


def losses(o: Oracle):
    """Sums over rows of weight · loss. A row of weight 0 carries none. Those on hidden states contain the vocabulary's head E."""
    labels, weights = integers(3, 0, 8, 3, 1), torch.tensor([0.5, 0.25, 0.0, 1.0, 0.125])

    def cross_entropy(z, labels, w):
        return (F.cross_entropy(z, labels.long(), reduction='none') * w).sum()

    def divergence(zt, zs, w):
        return (F.kl_div(zs.log_softmax(-1), zt.log_softmax(-1), log_target=True, reduction='none').sum(-1) * w).sum()

    for name, scale in (('', 1), ('/confident', 12)):
        o.case(
            f'crossEntropyOfLogits{name}',
            'crossEntropyOfLogits',
            lambda: [normal(5, 9, scale=scale), labels, weights],
            cross_entropy,
            frozen=(2,),
        )
        o.case(
            f'divergenceOfLogits{name}',
            'divergenceOfLogits',
            lambda: [normal(5, 9, scale=scale), normal(5, 9, scale=scale), weights],
            divergence,
            frozen=(0, 2),
        )
        o.case(
            f'crossEntropy{name}',
            'crossEntropy',
            lambda: [normal(5, 4, scale=scale), normal(9, 4), labels, weights],
            lambda y, e, labels, w: cross_entropy(y @ e.mT, labels, w),
            frozen=(1, 3),
        )
        o.case(
            f'divergence{name}',
            'divergence',
            lambda: [normal(5, 4, scale=scale), normal(5, 4, scale=scale), normal(9, 4), weights],
            lambda t, s, e, w: divergence(t @ e.mT, s @ e.mT, w),
            frozen=(0, 2, 3),
        )


def optimizers(o: Oracle):
    constant, warm = [0.01] * 5, [0.002, 0.004, 0.008, 0.004, 0.002]
    o.optimizer('adamw', 'AdamW', constant)
    o.optimizer('adamw/decay', 'AdamW', warm, betas=(0.9, 0.95), epsilon=1e-6, weight_decay=0.1)
    o.optimizer('adamw/clipped', 'AdamW', constant, clip_norm=0.5)
    o.optimizer('sgd', 'SGD', constant)
    o.optimizer('sgd/momentum', 'SGD', warm, momentum=0.9, weight_decay=0.01)
    o.optimizer('sgd/clipped', 'SGD', constant, momentum=0.5, clip_norm=0.5)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path(__file__).parents[1] / 'fixtures')
    oracle = Oracle()
    for group in (products, elementwise, normalizations, shapes, gathers, transformer, losses, optimizers):
        group(oracle)
    oracle.write(parser.parse_args().out)
