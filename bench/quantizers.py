"""Quantizers for the weights W [N, K], float32, of a projection y = x Wᵀ. Each returns W as the product sees it.

`moments` [K, K] is Σ xᵀx over calibration tokens. `block` columns of K share a scale per row; None: all. Blocks have a
zero point unless they are symmetric. `bits`: 4 or 8.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

DAMPING = 0.01  # of GPTQ, as a share of the mean diagonal
SHRINKS = torch.linspace(1, 0.6, 21)  # of a block's range, tried by the search


def blocks_of(x, block):
    """[..., K / block, block] of [..., K], padded with zeros."""
    block = block or x.shape[-1]
    return F.pad(x, (0, -x.shape[-1] % block)).unflatten(-1, (-1, block))


@dataclass
class Grid:
    """A weight is scale·(level - zero), 0 <= level <= top. Scale and zero point are [N, K], repeated within a block."""

    scale: torch.Tensor
    zero: torch.Tensor
    top: int

    def nearest(self, w):
        return self.scale * ((w / self.scale + self.zero).round().clamp(0, self.top) - self.zero)

    def column(self, w, k):
        """Nearest values to w [N] in column k."""
        scale, zero = self.scale[:, k], self.zero[:, k]
        return scale * ((w / scale + zero).round().clamp(0, self.top) - zero)


def grid_of(w, importance=None, bits=4, block=None, symmetric=True):
    """The grid over each block's range; with importance [K] over that part of it with the least Σ importance·error²."""
    k, top, middle = w.shape[1], 2**bits - 1, 2 ** (bits - 1)
    parts = blocks_of(w, block)
    low, high = parts.amin(2).clamp(max=0), parts.amax(2).clamp(min=0)
    # Symmetric: the value of largest magnitude is level 0, with a negative scale if it is positive.
    scale = torch.where(-low >= high, -low, -high) / middle if symmetric else (high - low) / top
    scale = torch.where(scale == 0, 1, scale)

    def grid(shrink):
        shrunk = scale * shrink
        zero = torch.full_like(scale, middle) if symmetric else (-low / shrunk).round().clamp(0, top)
        return Grid(*(x.repeat_interleave(parts.shape[2], 1)[:, :k] for x in (shrunk, zero)), top)

    best, least = torch.ones_like(scale), torch.full_like(scale, torch.inf)
    for shrink in SHRINKS if importance is not None else ():
        error = blocks_of(importance * (w - grid(shrink).nearest(w)) ** 2, block).sum(2)
        best = torch.where(error < least, shrink, best)
        least = torch.minimum(error, least)
    return grid(best)


def round_to_nearest(w, moments, search=False, **kind):
    return grid_of(w, moments.diagonal() if search else None, **kind).nearest(w)


def gptq(w, moments, search=False, **kind):
    """GPTQ (arXiv 2210.17323): rounds columns in falling order of activation; the rest make up for each one's error."""
    diagonal = moments.diagonal()
    grid = grid_of(w, diagonal if search else None, **kind)
    order = diagonal.argsort(descending=True)
    damped = moments[order][:, order] + DAMPING * diagonal.mean() * torch.eye(len(order))
    factor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    rest, rounded = w[:, order], torch.empty_like(w)
    for start in range(0, len(order), 64):
        end = min(start + 64, len(order))
        errors = torch.empty(len(w), end - start)
        for j in range(start, end):
            value = grid.column(rest[:, j], order[j])
            rounded[:, order[j]] = value
            errors[:, j - start] = (rest[:, j] - value) / factor[j, j]
            rest[:, j:end] -= errors[:, j - start, None] * factor[j, j:end]
        rest[:, end:] -= errors @ factor[start:end, end:]
    return rounded


def awq(w, moments, **kind):
    """AWQ (arXiv 2306.00978): scales columns by that power, from 0 to 1, of the activation with the least error."""
    activation = moments.diagonal().sqrt().clamp(min=1e-6)

    def scaled(power):
        s = activation**power
        return grid_of(w * s, **kind).nearest(w * s) / s

    def error(found):
        return (((w - found) @ moments) * (w - found)).sum()

    return min((scaled(power) for power in torch.linspace(0, 1, 11)), key=error)


def rounded_activations(x, block):
    """x [..., K] as int8 with a scale per row and block of columns."""
    parts = blocks_of(x, block)
    scale = parts.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
    return ((parts / scale).round() * scale).flatten(-2)[..., : x.shape[-1]]
