#!/usr/bin/env python3
"""random_model.py DIR OUT [options]: a model as large as one likes, of random weights, with the tokenizer of the model in DIR.

Time and memory depend on a model's shape alone, so this is for figures of models that are not at hand. The defaults are a LLaMA of
1.2 billion parameters, TinyLlama's shape with SmolLM2's vocabulary.
"""

import argparse
import shutil
from pathlib import Path

import torch
import transformers

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument('directory', type=Path, help='Hugging Face directory of a LLaMA')
parser.add_argument('out', type=Path)
parser.add_argument('--hidden-size', type=int, default=2048)
parser.add_argument('--intermediate-size', type=int, default=5632)
parser.add_argument('--num-hidden-layers', type=int, default=22)
parser.add_argument('--num-attention-heads', type=int, default=32)
parser.add_argument('--num-key-value-heads', type=int, default=4)
args = vars(parser.parse_args())
directory, out = args.pop('directory'), args.pop('out')

config = transformers.AutoConfig.from_pretrained(directory)
config.update({**args, 'head_dim': args['hidden_size'] // args['num_attention_heads'], 'layer_types': None})
torch.manual_seed(0)
with torch.device('cuda' if torch.cuda.is_available() else 'cpu'):
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
model.save_pretrained(out)
for file in directory.glob('tokenizer*'):
    shutil.copy(file, out)
print(f'{out}: {model.num_parameters():,} parameters')
