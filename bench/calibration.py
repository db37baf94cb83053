"""The full model as quantizers see it: projections, moments of their inputs, and the influence of its layers."""

import torch
import torch.nn.functional as F
import transformers

PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']
SAME_INPUTS = dict(k_proj='q_proj', v_proj='q_proj', up_proj='gate_proj')
SEQUENCES, LENGTH = 32, 256


def projections(layer):
    """The frozen projections of a decoder layer, by name, with or without LoRA beside them."""
    modules = {name.removesuffix('.base_layer').split('.')[-1]: module for name, module in layer.named_modules()}
    return {name: modules[name] for name in PROJECTIONS}


def assign_weights(layers, weights):
    for layer, chosen in zip(layers, weights, strict=True):
        for name, module in projections(layer).items():
            module.weight.data = chosen[name]


def packed(examples):
    """[SEQUENCES, LENGTH] tokens of (ids, labels), one example after the other."""
    ids = []
    while len(ids) < SEQUENCES * LENGTH:
        ids += next(examples)[0]
    return torch.tensor(ids[: SEQUENCES * LENGTH]).view(SEQUENCES, LENGTH)


class FullModel:
    """`examples` yields the (ids, labels) to calibrate on. weights[i] and moments[i]: of layer i, by projection."""

    @torch.no_grad()
    def __init__(self, path, examples):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).requires_grad_(False)
        self.layers = self.model.model.layers
        self.weights = [{name: m.weight.data for name, m in projections(layer).items()} for layer in self.layers]
        self.moments, self.influences = [], []
        h = self.model.model.embed_tokens(packed(examples))
        position = self.model.model.rotary_emb(h, torch.arange(LENGTH)[None])
        for layer in self.layers:
            moments, before = dict.fromkeys(set(PROJECTIONS) - set(SAME_INPUTS), 0), h
            hooks = [projections(layer)[name].register_forward_pre_hook(self.adding(moments, name)) for name in moments]
            h = torch.cat([layer(part, attention_mask=None, position_embeddings=position) for part in before.split(16)])
            for hook in hooks:
                hook.remove()
            self.moments.append({name: moments[SAME_INPUTS.get(name, name)] for name in PROJECTIONS})
            self.influences.append(1 - F.cosine_similarity(before, h, dim=-1)[:, 1:].mean().item())

    @staticmethod
    def adding(moments, name):
        """A hook that adds Σ xᵀx of inputs x scaled to length 1, because the first token's are by far the longest."""

        def hook(_module, inputs):
            x = F.normalize(inputs[0].flatten(0, 1), dim=-1)
            moments[name] = moments[name] + x.T @ x

        return hook

    def most_influential(self, below, count):
        """Of the layers 0 … below - 1 the first, the last and the most influential others, `count` in all."""
        inner = sorted(range(1, below - 1), key=lambda i: -self.influences[i])
        return sorted([0, *inner[: count - 2], below - 1])

    def quantized(self, layers, quantize):
        """The projections' weights in these layers, each as quantize(weight, moments) returns it."""
        return [{name: quantize(w, self.moments[i][name]) for name, w in self.weights[i].items()} for i in layers]
