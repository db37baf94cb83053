"""Learning rates of PyTorch's schedulers, in float64: a warm-up, then constant, down in a line, or down by half a cosine.

Prints JSON: a list of {schedule, learningRate, warmupSteps, steps, rates}, one rate for each step.
"""

import json
import sys

import torch
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LinearLR, SequentialLR

CASES = [
    (schedule, rate, warmup, steps)
    for schedule in ("Constant", "Linear", "Cosine")
    for rate, warmup, steps in ((5e-4, 0, 30), (3e-3, 5, 100), (1.0, 1, 2), (0.1, 7, 7), (0.25, 0, 1), (2e-5, 30, 31))
]


def after(schedule, optimizer, steps):
    """The schedule of the steps that follow the warm-up."""
    if schedule == "Linear":
        return LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=max(1, steps))
    if schedule == "Cosine":
        return CosineAnnealingLR(optimizer, T_max=max(1, steps), eta_min=0.0)
    return ConstantLR(optimizer, factor=1.0, total_iters=0)


def rates(schedule, rate, warmup, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=rate)
    scheduler = after(schedule, optimizer, steps - warmup)
    if warmup > 0:
        optimizer = torch.optim.SGD([torch.zeros(1, dtype=torch.float64, requires_grad=True)], lr=rate)
        rise = LinearLR(optimizer, start_factor=1.0 / warmup, end_factor=1.0, total_iters=max(1, warmup - 1))
        scheduler = SequentialLR(optimizer, [rise, after(schedule, optimizer, steps - warmup)], milestones=[warmup])
    seen = []
    for _ in range(steps):
        seen.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return seen


json.dump(
    [
        {"schedule": schedule, "learningRate": rate, "warmupSteps": warmup, "steps": steps, "rates": rates(schedule, rate, warmup, steps)}
        for schedule, rate, warmup, steps in CASES
    ],
    sys.stdout,
)
sys.stdout.write("\n")
