"""Writes reactions.json, the golden vectors of a decoder and of losses of frames for crates/nodes/tests/it/reactions.rs, in
double precision.

Made with torch 2.15.0: python tests/golden/make_reactions.py

The decoder's layers are torch.nn.TransformerDecoderLayer and the vae's torch.nn.TransformerEncoderLayer, both with
norm_first; biases of attention are made as FaceFormer's code does (Fan et al., CVPR 2022). The losses follow their
equations in plain loops over items, on their own frames alone.
"""

import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(11)


def number(value):
    """Nine digits hold every float32."""
    return float(f"{float(value):.9g}")


def stored(tensor):
    tensor = tensor.detach()
    return {"shape": list(tensor.shape), "values": [number(v) for v in tensor.flatten()]}


def sinusoidal(start, time, width, period=None):
    place = torch.arange(start, start + time)
    place = (place % period if period else place).double()[:, None]
    rate = torch.exp(torch.arange(0, width, 2).double() * (-math.log(10000.0) / width))
    table = torch.zeros(time, width)
    table[:, 0::2], table[:, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
    return table


def slopes(n):
    start = 2 ** (-(2 ** -(math.log2(n) - 3)))
    return [start * start**i for i in range(n)]


def biased_mask(heads, length, period):
    bias = torch.arange(0, length, period).unsqueeze(1).repeat(1, period).view(-1) // period
    bias = -torch.flip(bias, dims=[0])
    alibi = torch.zeros(length, length)
    for i in range(length):
        alibi[i, : i + 1] = bias[-(i + 1) :]
    alibi = torch.tensor(slopes(heads))[:, None, None] * alibi[None]
    return alibi + torch.triu(torch.full((length, length), float("-inf")), 1)


def linear(name, layer, out):
    out[f"{name}.weight"], out[f"{name}.bias"] = layer.weight.T, layer.bias


def attention(name, layer, out):
    width = layer.embed_dim
    parts = zip(["query", "key", "value"], layer.in_proj_weight.split(width), layer.in_proj_bias.split(width))
    for part, weight, bias in parts:
        out[f"{name}.{part}.weight"], out[f"{name}.{part}.bias"] = weight.T, bias
    linear(f"{name}.output", layer.out_proj, out)


def norm(name, layer, out):
    out[f"{name}.gamma"], out[f"{name}.beta"] = layer.weight, layer.bias


def decoder_case():
    width, heads, period, lengths, time = 8, 2, 4, [12, 7], 12
    vector, frames, memory = torch.randn(2, 3), torch.randn(2, time, 5), torch.randn(2, time, 6)
    for at, length in enumerate(lengths):
        frames[at, length:], memory[at, length:] = 0, 0
    inputs = [nn.Linear(3, width), nn.Linear(5, width)]
    to_memory, output = nn.Linear(6, width), nn.Linear(width, 5)
    layers = [nn.TransformerDecoderLayer(width, heads, 12, 0.0, "gelu", batch_first=True, norm_first=True) for _ in range(2)]
    named = {}
    for at, layer in enumerate(inputs):
        linear(f"node.inputs.{at}", layer, named)
    linear("node.memory", to_memory, named)
    linear("node.output", output, named)
    for at, layer in enumerate(layers):
        for p in layer.parameters():
            nn.init.normal_(p, std=0.3)
        own = f"node.layers.{at}"
        attention(f"{own}.own", layer.self_attn, named)
        attention(f"{own}.of_memory", layer.multihead_attn, named)
        linear(f"{own}.inner", layer.linear1, named)
        linear(f"{own}.outer", layer.linear2, named)
        for name, layer_norm in [("norm_own", layer.norm1), ("norm_memory", layer.norm2), ("norm_feed", layer.norm3)]:
            norm(f"{own}.{name}", layer_norm, named)
    weights = {name: stored(value) for name, value in named.items()}
    memory.requires_grad_()
    rows, total = [], 0.0
    for at, length in enumerate(lengths):
        places = sinusoidal(0, length, width, period)
        x = inputs[0](vector[at : at + 1])[:, None] + inputs[1](frames[at : at + 1, :length]) + places
        seen = to_memory(memory[at : at + 1, :length]) + places
        mask = biased_mask(heads, 16, period)[:, :length, :length]
        for layer in layers:
            x = layer(x, seen, tgt_mask=mask, memory_mask=mask)
        x = output(x)
        total = total + (x * torch.cos(torch.arange(x.numel()).double()).view_as(x)).sum()
        rows.append(F.pad(x[0], (0, 0, 0, time - length)))
    total.backward()
    return {
        "fields": {"width": width, "heads": heads, "layers": 2, "feed_forward": 12, "dropout": 0.0, "period": period},
        "lengths": lengths, "vector": stored(vector), "frames": stored(frames), "memory": stored(memory),
        "weights": weights, "output": stored(torch.stack(rows)), "gradient": stored(memory.grad),
    }


def mse(frames, truth, fields):
    return (frames - truth).square().mean()


def smoothness(frames, truth, fields):
    return (frames[:, :-2] - 2 * frames[:, 1:-1] + frames[:, 2:]).square().mean()


def pairs(samples):
    return [(a, b) for a in range(len(samples)) for b in range(a + 1, len(samples))]


def diversity(frames, truth, fields):
    alike = [torch.exp(-(frames[a] - frames[b]).norm() / fields["scale"]) for a, b in pairs(frames)]
    return torch.stack(alike).mean()


def contrastive(frames, truth, fields):
    cos = lambda a, b: F.cosine_similarity(a.flatten(), b.flatten(), dim=0)
    near = torch.stack([-F.logsigmoid(cos(sample, truth) / 0.1) for sample in frames]).mean() * 2
    return near + torch.stack([F.relu(cos(frames[a], frames[b]) - fields["margin"]) for a, b in pairs(frames)]).mean()


def consistency(frames, truth, fields):
    window = fields["window"]
    def movement(part):
        of = frames[:, : frames.shape[1] // window * window, part[0] : part[1]]
        variance = of.reshape(len(frames), -1, window, of.shape[2]).var(2, unbiased=False)
        each = variance.norm(dim=2)
        return each / each.norm(dim=1, keepdim=True)
    return (movement(fields["part"]) - movement(fields["with"])).square().mean()


LOSSES = {"mse": mse, "smoothness": smoothness, "diversity": diversity, "sample_contrastive": contrastive, "consistency": consistency}


def loss_cases():
    lengths, time, width = [11, 4, 7], 11, 5
    cases = []
    for kind, samples, fields in [
        ("mse", 1, {}), ("mse", 3, {"channels": [1, 3]}), ("smoothness", 1, {}), ("smoothness", 3, {"channels": [0, 2]}),
        ("diversity", 3, {"scale": 5.0}), ("sample_contrastive", 2, {"margin": 0.1}), ("sample_contrastive", 3, {"margin": -0.5}),
        ("consistency", 2, {"part": [0, 2], "with": [2, 5], "window": 3}),
    ]:
        frames, truth = torch.randn(samples, 3, time, width), torch.randn(3, time, width)
        for at, length in enumerate(lengths):
            frames[:, at, length:], truth[at, length:] = 0, 0
        frames.requires_grad_()
        part = slice(*fields.get("channels", [0, width]))
        each = [LOSSES[kind](frames[:, at, :n, part], truth[at, :n, part], fields) for at, n in enumerate(lengths)]
        loss = torch.stack(each).mean()
        loss.backward()
        cases.append({
            "kind": kind, "fields": fields, "lengths": lengths, "frames": stored(frames), "truth": stored(truth),
            "loss": number(loss), "gradient": stored(frames.grad),
        })
    return cases


def divergence_cases():
    cases = []
    for free in [0.0, 0.4]:
        lengths, mean, log_variance = [3, 1], torch.randn(2, 3, 4), 0.7 * torch.randn(2, 3, 4)
        mean[1, 1:], log_variance[1, 1:] = 0, 0
        mean.requires_grad_(), log_variance.requires_grad_()
        each = []
        for at, steps in enumerate(lengths):
            own = torch.distributions.Normal(mean[at, :steps], torch.exp(0.5 * log_variance[at, :steps]))
            own = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0))
            each.append(own.clamp_min(free).mean())
        loss = torch.stack(each).mean()
        loss.backward()
        cases.append({
            "fields": {"free_bits": free}, "lengths": lengths, "mean": stored(mean), "log_variance": stored(log_variance),
            "loss": number(loss), "of_mean": stored(mean.grad), "of_log_variance": stored(log_variance.grad),
        })
    return cases


def vae_case():
    width, heads, lengths, time = 8, 2, [6, 3], 6
    streams = [torch.randn(2, time, 3), torch.randn(2, time, 4)]
    for stream in streams:
        stream[1, 3:] = 0
    projections = [nn.Linear(3, width), nn.Linear(4, width)]
    tokens = torch.randn(2, width)
    layer = nn.TransformerEncoderLayer(width, heads, 12, 0.0, "gelu", batch_first=True, norm_first=True)
    mean, log_variance = nn.Linear(width, 3), nn.Linear(width, 3)
    named = {"node.tokens": tokens}
    for at, projection in enumerate(projections):
        linear(f"node.streams.{at}", projection, named)
    own = "node.encoder.layers.0"
    attention(f"{own}.mha", layer.self_attn, named)
    linear(f"{own}.pwff.linear_inner", layer.linear1, named)
    linear(f"{own}.pwff.linear_outer", layer.linear2, named)
    norm(f"{own}.norm_2", layer.norm1, named)
    norm(f"{own}.norm_1", layer.norm2, named)
    linear("node.mean", mean, named)
    linear("node.log_variance", log_variance, named)
    streams[0].requires_grad_()
    found, total = [], 0.0
    for at, length in enumerate(lengths):
        x = sum(p(s[at : at + 1, :length]) for p, s in zip(projections, streams))
        x = torch.cat([tokens[None], x], 1) + sinusoidal(0, length + 2, width)
        x = layer(x)
        both = torch.stack([mean(x[0, 0]), log_variance(x[0, 1])])
        total = total + (both * torch.tensor([[1.0], [2.0]])).sum()
        found.append(both)
    total.backward()
    found = torch.stack(found)
    return {
        "fields": {"width": width, "heads": heads, "layers": 1, "feed_forward": 12, "latent": 3, "dropout": 0.0},
        "lengths": lengths, "streams": [stored(stream) for stream in streams],
        "weights": {name: stored(value) for name, value in named.items()},
        "mean": stored(found[:, 0]), "log_variance": stored(found[:, 1]), "gradient": stored(streams[0].grad),
    }


document = {"decoder": decoder_case(), "vae": vae_case(), "losses": loss_cases(), "divergences": divergence_cases()}
path = Path(__file__).with_name("reactions.json")
path.write_text(json.dumps(document, separators=(",", ":")) + "\n")
