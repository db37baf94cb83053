"""Writes the cosines and sines of transformers' rotary embedding, for test/unit/model-rotary.test.ts.

    python test/oracle/rotary.py > test/fixtures/rotary.json        # torch 2.15, transformers 5.23
"""
import json

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=8192)
CASES = {
    "llama2": (64, 4096, dict(rope_type="default", rope_theta=10000.0)),
    "smollm2": (64, 8192, dict(rope_type="default", rope_theta=100000.0)),
    "linear": (32, 8192, dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
    "llama3.1": (128, 131072, LLAMA3),
    "llama3.2": (64, 131072, {**LLAMA3, "factor": 32.0}),
}
POSITIONS = [0, 1, 2, 17, 255, 1000, 4095]

out = {}
for name, (head_dim, max_positions, rope) in CASES.items():
    config = LlamaConfig(hidden_size=2 * head_dim, num_attention_heads=2, num_key_value_heads=2, head_dim=head_dim,
                         max_position_embeddings=max_positions, rope_parameters=rope)
    embedding = LlamaRotaryEmbedding(config)
    cos, sin = embedding(torch.zeros(1), torch.tensor([POSITIONS]))
    half = head_dim // 2
    out[name] = dict(config={**config.to_dict(), "architectures": ["LlamaForCausalLM"]}, positions=POSITIONS,
                     inverseFrequencies=embedding.inv_freq.tolist(), cos=cos[0, :, :half].flatten().tolist(),
                     sin=sin[0, :, :half].flatten().tolist())
    out[name]["config"] = {key: out[name]["config"][key] for key in (
        "model_type", "architectures", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim", "max_position_embeddings", "rope_parameters")}
print(json.dumps(out, indent=None))
