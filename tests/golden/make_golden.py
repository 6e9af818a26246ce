"""Writes the golden vectors of tests/it/golden.rs from PyTorch, in double precision.

Made with Python 3.11 and torch 2.15.0: python tests/golden/make_golden.py

Tensors are stored in emorun's names and layouts: the weights of linear and recurrent layers are
[input, output] there, where PyTorch has [output, input].
"""

import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
FOLDER = Path(__file__).parent


def number(value):
    """Nine digits hold every float32."""
    value = float(torch.as_tensor(value).detach())
    return value if math.isinf(value) or value == 0.0 else float(f"{value:.9g}")


def stored(tensor):
    tensor = tensor.detach()
    return {"shape": list(tensor.shape), "values": [number(v) for v in tensor.flatten()]}


def write(name, value):
    text = json.dumps(value, separators=(",", ":"))
    (FOLDER / f"{name}.json").write_text(text + "\n")
    print(f"{name}.json: {len(text) / 1024:.1f} KiB")


def cross_entropy():
    torch.manual_seed(1)
    cases = []
    labels = {
        "all": [0, 2, 1, 3, 3],
        "some": [0, None, 1, None, 3],
        "one": [None, None, 2, None, None],
    }
    for weights in [None, [1.0, 0.5, 3.0, 0.0], [0.2, 2.0, 1.0, 4.0]]:
        for smoothing in [0.0, 0.1, 1.0]:
            for present in labels.values():
                logits = (3 * torch.randn(5, 4)).requires_grad_()
                weight = None if weights is None else torch.tensor(weights)
                target = torch.tensor([-100 if label is None else label for label in present])
                loss = F.cross_entropy(
                    logits, target, weight=weight, ignore_index=-100, label_smoothing=smoothing
                )
                loss.backward()
                cases.append(
                    {
                        "weights": weights,
                        "smoothing": smoothing,
                        "labels": present,
                        "logits": stored(logits),
                        "loss": number(loss),
                        "gradient": stored(logits.grad),
                    }
                )
    write("cross_entropy", cases)


def masked_block(x, lengths, weight, gamma, beta, running, training):
    """conv 3x3, batch norm over valid frames, ReLU, max-pool 2x2, zero behind the lengths."""
    mask = (torch.arange(x.shape[2])[None, :] < torch.tensor(lengths)[:, None])[:, None, :, None].double()
    y = F.conv2d(x, weight, padding=1)
    if training:
        count = sum(lengths) * y.shape[3]
        mean = (y * mask).sum((0, 2, 3)) / count
        var = ((y - mean[None, :, None, None]) ** 2 * mask).sum((0, 2, 3)) / count
        new = (0.9 * running[0] + 0.1 * mean, 0.9 * running[1] + 0.1 * var * count / (count - 1))
    else:
        mean, var = running
        new = running
    y = (y - mean[None, :, None, None]) / torch.sqrt(var[None, :, None, None] + 1e-5)
    y = torch.relu(y * gamma[None, :, None, None] + beta[None, :, None, None]) * mask
    # An odd last frame is dropped, as it is where nothing stands behind it.
    mask = (torch.arange(x.shape[2] // 2)[None, :] < torch.tensor(lengths)[:, None] // 2)[:, None, :, None]
    return F.max_pool2d(y, 2) * mask, [length // 2 for length in lengths], new


def crnn():
    torch.manual_seed(2)
    channels, bands, hidden, lengths = [2, 3], 9, 3, [11, 8, 5]
    blocks = []
    for inputs, outputs in zip([1] + channels, channels):
        blocks.append(
            {
                "weight": (0.5 * torch.randn(outputs, inputs, 3, 3)).requires_grad_(),
                "gamma": (1 + 0.2 * torch.randn(outputs)).requires_grad_(),
                "beta": (0.2 * torch.randn(outputs)).requires_grad_(),
                "running": (0.3 * torch.randn(outputs), 0.5 + torch.rand(outputs)),
            }
        )
    gru = nn.GRU(channels[-1] * (bands // 4), hidden, batch_first=True, bidirectional=True)
    with torch.no_grad():
        # A batch's padding must not be seen: a first check of the block against torch's own.
        block = blocks[0]
        x = torch.randn(2, 1, 6, bands)
        own, _, _ = masked_block(x, [6, 6], block["weight"], block["gamma"], block["beta"], block["running"], True)
        theirs = F.batch_norm(
            F.conv2d(x, block["weight"], padding=1), None, None, block["gamma"], block["beta"], True
        )
        torch.testing.assert_close(own, F.max_pool2d(torch.relu(theirs), 2))
    frames = torch.randn(3, max(lengths), bands)
    for row, length in zip(frames, lengths):
        row[length:] = 0
    seen = torch.randn(3, max(lengths) // 4, 2 * hidden)

    def parameters():
        named = {}
        for at, block in enumerate(blocks):
            named[f"node.blocks.{at}.conv.weight"] = block["weight"]
            named[f"node.blocks.{at}.gamma"] = block["gamma"]
            named[f"node.blocks.{at}.beta"] = block["beta"]
        for direction, suffix in [("forward", ""), ("backward", "_reverse")]:
            for kind in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]:
                named[f"node.gru.{direction}.{kind}"] = getattr(gru, f"{kind}_l0{suffix}")
        return named

    def layout(name, tensor):
        return stored(tensor.T if ".weight_" in name else tensor)

    modes = {}
    for training in [True, False]:
        x = frames.clone().requires_grad_()
        for parameter in parameters().values():
            parameter.grad = None
        y, now, running = x[:, None], lengths, []
        for block in blocks:
            y, now, new = masked_block(
                y, now, block["weight"], block["gamma"], block["beta"], block["running"], training
            )
            running.append(new)
        batch, width, time, rest = y.shape
        y = y.transpose(1, 2).reshape(batch, time, width * rest)
        packed = nn.utils.rnn.pack_padded_sequence(y, now, batch_first=True)
        y, _ = nn.utils.rnn.pad_packed_sequence(gru(packed)[0], batch_first=True, total_length=time)
        (y * seen).sum().backward()
        modes["training" if training else "evaluation"] = {
            "output": stored(y),
            "lengths": now,
            "running": {
                f"node.blocks.{at}.running_{kind}": stored(value)
                for at, pair in enumerate(running)
                for kind, value in zip(["mean", "var"], pair)
            },
            "input_gradient": stored(x.grad),
            "gradients": {name: layout(name, p.grad) for name, p in parameters().items()},
        }
    weights = {name: layout(name, parameter) for name, parameter in parameters().items()}
    for at, block in enumerate(blocks):
        for kind, value in zip(["mean", "var"], block["running"]):
            weights[f"node.blocks.{at}.running_{kind}"] = stored(value)
    write(
        "crnn",
        {
            "channels": channels,
            "bands": bands,
            "hidden": hidden,
            "lengths": lengths,
            "frames": stored(frames),
            "seen": stored(seen),
            "weights": weights,
            "modes": modes,
        },
    )


def transformer():
    """Pre-norm encoder layers on stacked frames with sinusoidal positions; padding is not attended."""
    torch.manual_seed(4)
    bands, stack, width, heads, feed_forward, lengths = 3, 2, 6, 2, 5, [9, 6, 3]
    projection = nn.Linear(bands * stack, width)
    layers = [
        nn.TransformerEncoderLayer(
            width, heads, feed_forward, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        for _ in range(2)
    ]
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.normal_(parameter, std=0.5)
    frames = torch.randn(3, max(lengths), bands)
    for row, length in zip(frames, lengths):
        row[length:] = 0
    time = max(lengths) // stack
    stacked = torch.tensor([length // stack for length in lengths])
    seen = torch.randn(3, time, width)
    at = torch.arange(time)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
    positions = torch.stack([at.sin(), at.cos()], 2).reshape(time, width)
    padding = torch.arange(time)[None, :] >= stacked[:, None]
    x = projection(frames[:, : time * stack].reshape(3, time, bands * stack)) + positions
    for layer in layers:
        x = layer(x, src_key_padding_mask=padding)
    x = x * ~padding[:, :, None]
    (x * seen).sum().backward()

    def named(of):
        found = {"node.projection.weight": of(projection.weight).T, "node.projection.bias": of(projection.bias)}
        for at, layer in enumerate(layers):
            name = f"node.encoder.layers.{at}"
            weights, biases = of(layer.self_attn.in_proj_weight), of(layer.self_attn.in_proj_bias)
            for part, weight, bias in zip(["query", "key", "value"], weights.chunk(3), biases.chunk(3)):
                found[f"{name}.mha.{part}.weight"], found[f"{name}.mha.{part}.bias"] = weight.T, bias
            # Burn calls the norm in front of the attention its second.
            for part, module in [
                ("mha.output", layer.self_attn.out_proj),
                ("pwff.linear_inner", layer.linear1),
                ("pwff.linear_outer", layer.linear2),
            ]:
                found[f"{name}.{part}.weight"], found[f"{name}.{part}.bias"] = of(module.weight).T, of(module.bias)
            for part, module in [("norm_2", layer.norm1), ("norm_1", layer.norm2)]:
                found[f"{name}.{part}.gamma"], found[f"{name}.{part}.beta"] = of(module.weight), of(module.bias)
        return {name: stored(tensor) for name, tensor in found.items()}

    write(
        "transformer",
        {
            "fields": {
                "stack": stack,
                "width": width,
                "layers": len(layers),
                "heads": heads,
                "feed_forward": feed_forward,
                "dropout": 0.0,
            },
            "bands": bands,
            "lengths": lengths,
            "frames": stored(frames),
            "seen": stored(seen),
            "weights": named(lambda parameter: parameter),
            "output": stored(x),
            "stacked": stacked.tolist(),
            "gradients": named(lambda parameter: parameter.grad),
        },
    )


def optimizers():
    """Five steps on a small classifier: linear, ReLU, mean over frames, linear, cross-entropy."""
    torch.manual_seed(3)
    frames = torch.randn(6, 4, 3)
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    start = {
        "head.projection.weight": 0.7 * torch.randn(5, 3),
        "head.projection.bias": 0.3 * torch.randn(5),
        "head.classes.weight": 0.7 * torch.randn(3, 5),
        "head.classes.bias": 0.3 * torch.randn(3),
    }

    def layout(name, tensor):
        return stored(tensor.T if name.endswith("weight") else tensor)

    lr = 0.05
    runs = []
    for fields, clip, make in [
        ({"kind": "adam"}, None, lambda p: torch.optim.Adam(p, lr)),
        (
            {"kind": "adam", "betas": [0.8, 0.95], "eps": 1e-4, "weight_decay": 0.1},
            None,
            lambda p: torch.optim.Adam(p, lr, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1),
        ),
        ({"kind": "adamw"}, None, lambda p: torch.optim.AdamW(p, lr)),
        (
            {"kind": "adamw", "betas": [0.8, 0.95], "weight_decay": 0.2},
            None,
            lambda p: torch.optim.AdamW(p, lr, betas=(0.8, 0.95), weight_decay=0.2),
        ),
        ({"kind": "sgd"}, None, lambda p: torch.optim.SGD(p, lr)),
        ({"kind": "sgd", "momentum": 0.9}, None, lambda p: torch.optim.SGD(p, lr, momentum=0.9)),
        (
            {"kind": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
            None,
            lambda p: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True, weight_decay=0.05),
        ),
        ({"kind": "sgd", "momentum": 0.5}, 0.05, lambda p: torch.optim.SGD(p, lr, momentum=0.5)),
    ]:
        parameters = {name: value.clone().requires_grad_() for name, value in start.items()}
        optimizer = make(list(parameters.values()))
        losses, norms = [], []
        for _ in range(5):
            optimizer.zero_grad()
            hidden = torch.relu(
                F.linear(frames, parameters["head.projection.weight"], parameters["head.projection.bias"])
            )
            logits = F.linear(
                hidden.mean(1), parameters["head.classes.weight"], parameters["head.classes.bias"]
            )
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(parameters.values(), math.inf if clip is None else clip)
            optimizer.step()
            losses.append(number(loss))
            norms.append(number(norm))
        runs.append(
            {
                "optimizer": {**fields, "lr": lr},
                "clip_norm": clip,
                "losses": losses,
                "norms": norms,
                "end": {name: layout(name, value) for name, value in parameters.items()},
            }
        )
    write(
        "optimizers",
        {
            "frames": stored(frames),
            "labels": labels.tolist(),
            "start": {name: layout(name, value) for name, value in start.items()},
            "runs": runs,
        },
    )


def schedules():
    """Learning rates of each step, as the optimizer uses them."""

    def rates(make, steps, lr):
        parameter = nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([parameter], lr)
        scheduler = make(optimizer)
        found = []
        for _ in range(steps):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return found

    lr = torch.optim.lr_scheduler
    cases = []

    def case(config, make, rate, steps_per_epoch, epochs, per_epoch=False):
        steps = epochs if per_epoch else steps_per_epoch * epochs
        found = rates(make, steps, rate)
        if per_epoch:
            found = [value for value in found for _ in range(steps_per_epoch)]
        cases.append(
            {
                "scheduler": config,
                "lr": rate,
                "steps_per_epoch": steps_per_epoch,
                "epochs": epochs,
                "rates": [float(f"{value:.12g}") for value in found],
            }
        )

    for pct_start, per, epochs in [(0.3, 5, 4), (0.1, 7, 3), (0.5, 1, 6), (0.25, 10, 2)]:
        case(
            {"kind": "one_cycle", "max_lr": 0.01, "pct_start": pct_start},
            lambda o: lr.OneCycleLR(o, 0.01, total_steps=per * epochs, pct_start=pct_start),
            0.01,
            per,
            epochs,
        )
    case(
        {"kind": "one_cycle", "max_lr": 0.5, "pct_start": 0.3, "div_factor": 10.0, "final_div_factor": 100.0},
        lambda o: lr.OneCycleLR(o, 0.5, total_steps=24, div_factor=10.0, final_div_factor=100.0),
        0.5,
        6,
        4,
    )
    for min_lr in [0.0, 1e-4]:
        case(
            {"kind": "cosine", "unit": "step", "min_lr": min_lr},
            lambda o: lr.CosineAnnealingLR(o, 20, eta_min=min_lr),
            0.02,
            5,
            4,
        )
        case(
            {"kind": "cosine", "unit": "epoch", "min_lr": min_lr},
            lambda o: lr.CosineAnnealingLR(o, 6, eta_min=min_lr),
            0.02,
            3,
            6,
            per_epoch=True,
        )
    for t_0, t_mult in [(4, 1), (3, 2), (50, 1)]:
        config = {"kind": "cosine_warm_restarts", "t_0": t_0, "t_mult": t_mult, "min_lr": 1e-5}
        make = lambda o: lr.CosineAnnealingWarmRestarts(o, t_0, T_mult=t_mult, eta_min=1e-5)
        case({**config, "unit": "step"}, make, 0.01, 6, 5)
        case({**config, "unit": "epoch"}, make, 0.01, 3, 20, per_epoch=True)
    write("schedules", cases)


cross_entropy()
crnn()
transformer()
optimizers()
schedules()
