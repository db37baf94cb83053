"""Writes matrices that bench/quantizers.py rounds to 4 bits by GPTQ, for test/unit/gptq-round.test.ts.

    python test/oracle/gptq.py test/fixtures/gptq.safetensors     # torch 2.15

NAME.weights [out, in], NAME.inputs [tokens, in] of length 1, NAME.rounded [out, in]. `few` has fewer tokens than
inputs. `dead` has inputs that are always 0, and a row of zeros.
"""
import importlib.util
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

spec = importlib.util.spec_from_file_location("quantizers", Path(__file__).parents[2] / "bench/quantizers.py")
quantizers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(quantizers)


def matrices(seed, outputs, inputs, tokens, dead=False):
    torch.manual_seed(seed)
    mixed = torch.randn(tokens, inputs) @ (torch.randn(inputs, inputs) / inputs**0.5 + 0.5 * torch.eye(inputs))
    x = mixed * torch.randn(inputs).exp()
    weights = 0.05 * torch.randn(outputs, inputs)
    if dead:
        x[:, 5::7] = 0
        weights[3] = 0
    x = F.normalize(x, dim=-1)
    rounded = quantizers.gptq(weights, x.T @ x, search=True, block=32, symmetric=False)
    return dict(weights=weights, inputs=x, rounded=rounded)


cases = {
    "many": matrices(0, 40, 96, 150),
    "few": matrices(1, 24, 128, 30),
    "dead": matrices(2, 16, 64, 100, dead=True),
}
save_file({f"{case}.{name}": x for case, tensors in cases.items() for name, x in tensors.items()}, sys.argv[1])
