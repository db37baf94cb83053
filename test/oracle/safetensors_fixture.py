"""Writes a small file with the Python safetensors library, for test/unit/safetensors-safetensors.test.ts.

    python test/oracle/safetensors_fixture.py test/fixtures/safetensors/mixed.safetensors     # safetensors 0.8
"""
import sys

import torch
from safetensors.torch import save_file

halves = [0.0, -0.0, 1.0, -2.5, 65504.0, 2.0**-14, 2.0**-24, -1023 * 2.0**-24, 0.333251953125]
save_file(
    {
        "b": torch.tensor([1.0, -2.5, 3.140625], dtype=torch.bfloat16),
        "a": torch.tensor([[1.5, -0.0], [3.4028234663852886e38, 1e-45]]),
        "10": torch.ones(3),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(1.5),
        "half": torch.tensor(halves, dtype=torch.float16),
        'é/"\\': torch.tensor([7.0]),
    },
    sys.argv[1],
    metadata={"format": "pt"},
)
