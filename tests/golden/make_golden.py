"""Writes the golden vectors of crates/nodes/tests/it/golden.rs from PyTorch, in double precision.

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


def blocks():
    """Blocks and heads between encoders and losses, on padded frames, vectors and a layer stack."""
    torch.manual_seed(5)
    lengths, time, width = [5, 1, 3], 5, 4
    mask = (torch.arange(time)[None, :] < torch.tensor(lengths)[:, None]).double()[:, :, None]
    batch = len(lengths)
    cases = []

    def frames(wide=width):
        return torch.randn(batch, time, wide) * mask

    def drawn(module):
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.6)
        return module

    def valid(x, item):
        return x[item : item + 1, : lengths[item]]

    def pooled(x, how):
        """Item by item, without any padding."""
        return torch.cat([how(valid(x, item)) for item in range(batch)])

    def linear(name, module):
        found = {f"{name}.weight": (module.weight, True)}
        if module.bias is not None:
            found[f"{name}.bias"] = (module.bias, False)
        return found

    def case(kind, fields, inputs, parameters, forward, training=True, buffers=None):
        """`parameters`: by name, the tensor and whether it is stored transposed."""
        inputs = {port: (what, x.clone().requires_grad_()) for port, (what, x) in inputs.items()}
        for parameter, _ in parameters.values():
            parameter.grad = None
        result = forward(*(x for _, x in inputs.values()))
        output, running = result if isinstance(result, tuple) else (result, {})
        seen = torch.randn(output.shape) * (mask if output.dim() == 3 else 1)
        (output * seen).sum().backward()
        layout = lambda x, transposed: stored(x.T if transposed else x)
        cases.append(
            {
                "kind": kind,
                "fields": fields,
                "training": training,
                "inputs": {
                    port: {
                        "signal": what,
                        "value": stored(x),
                        # Behind an item's end there is nothing to change.
                        "gradient": stored(x.grad if what == "vector" else x.grad * mask),
                    }
                    for port, (what, x) in inputs.items()
                },
                "weights": {
                    **{f"node.{name}": layout(x, t) for name, (x, t) in parameters.items()},
                    **{f"node.{name}": stored(x) for name, x in (buffers or {}).items()},
                },
                "seen": stored(seen),
                "output": stored(output * (mask if output.dim() == 3 else 1)),
                "gradients": {f"node.{name}": layout(x.grad, t) for name, (x, t) in parameters.items()},
                "running": {f"node.{name}": stored(x) for name, x in running.items()},
            }
        )

    for normalise in [False, True]:
        weights = torch.randn(3, requires_grad=True)

        def weighted_sum(stack):
            if normalise:
                stack = F.layer_norm(stack, (width,))
            return (torch.softmax(weights, 0)[:, None, None, None] * stack).sum(0)

        stack = torch.stack([frames() for _ in range(3)])
        case(
            "weighted_sum",
            {"normalise": normalise},
            {"input": ("stack", stack)},
            {"weights": (weights, False)},
            weighted_sum,
        )

    for how, take in {
        "mean": lambda x: x.mean(1),
        "max": lambda x: x.amax(1),
        "statistics": lambda x: torch.cat(
            [x.mean(1), x.var(1, correction=0).clamp_min(1e-10).sqrt()], 1
        ),
    }.items():
        case("pool", {"how": how}, {"input": ("frames", frames())}, {}, lambda x: pooled(x, take))

    for projected in [None, 5]:
        heads, hidden = 2, 3
        inner = [drawn(nn.Linear(width, hidden)) for _ in range(heads)]
        # Their bias adds the same to every frame's score.
        outer = [drawn(nn.Linear(hidden, 1)) for _ in range(heads)]
        projection = drawn(nn.Linear(heads * width, projected)) if projected else None
        weight = torch.cat([m.weight for m in inner]).detach().requires_grad_()
        bias = torch.cat([m.bias for m in inner]).detach().requires_grad_()
        score = torch.cat([m.weight for m in outer]).detach().requires_grad_()

        def attend(x):
            sums = []
            for head in range(heads):
                part = slice(head * hidden, (head + 1) * hidden)
                scores = torch.tanh(F.linear(x, weight[part], bias[part])) @ score[head] + outer[head].bias
                sums.append((torch.softmax(scores, 1)[:, :, None] * x).sum(1))
            return torch.cat(sums, 1)

        parameters = {"pool.hidden.weight": (weight, True), "pool.hidden.bias": (bias, False)}
        parameters["pool.score"] = (score, False)
        if projection:
            parameters |= linear("output", projection)
        case(
            "attention_pool",
            {"heads": heads, "hidden": hidden, "output": projected},
            {"input": ("frames", frames())},
            parameters,
            lambda x: projection(pooled(x, attend)) if projection else pooled(x, attend),
        )

    for name, function in {"gelu": F.gelu, "leaky_relu": F.leaky_relu, "tanh": torch.tanh, None: lambda x: x}.items():
        layer = drawn(nn.Linear(width, 3))
        for what in ["frames", "vector"]:
            x = frames() if what == "frames" else torch.randn(batch, width)
            case(
                "linear",
                {"width": 3, "activation": name},
                {"input": (what, x)},
                linear("linear", layer),
                lambda x: function(layer(x)),
            )

    for batch_norm, training in [(False, True), (True, True), (True, False)]:
        widths = [width, 5, 3]
        layers = [drawn(nn.Linear(i, o, bias=not batch_norm)) for i, o in zip(widths, widths[1:])]
        norms = [drawn(nn.BatchNorm1d(o)) for o in widths[1:]]
        classes = drawn(nn.Linear(widths[-1], 2))
        parameters, before = linear("classes", classes), {}
        for at, (layer, norm) in enumerate(zip(layers, norms)):
            parameters |= linear(f"layers.{at}.linear", layer)
            if batch_norm:
                norm.train(training)
                nn.init.normal_(norm.running_mean, std=0.3)
                nn.init.uniform_(norm.running_var, 0.5, 1.5)
                parameters[f"layers.{at}.norm.gamma"] = (norm.weight, False)
                parameters[f"layers.{at}.norm.beta"] = (norm.bias, False)
                for of in ["mean", "var"]:
                    before[f"layers.{at}.norm.running_{of}"] = getattr(norm, f"running_{of}").clone()

        def classify(x):
            for layer, norm in zip(layers, norms):
                x = layer(x)
                x = F.leaky_relu(norm(x) if batch_norm else x)
            after = {
                name: getattr(norms[int(name.split(".")[1])], name.split(".")[-1]) for name in before
            }
            return classes(x), after

        case(
            "mlp_classifier",
            {"hidden": widths[1:], "activation": "leaky_relu", "dropout": 0.0, "batch_norm": batch_norm},
            {"input": ("vector", torch.randn(batch, width))},
            parameters,
            classify,
            training=training,
            buffers=before,
        )

    def gated(*inputs, transforms, gate):
        joined = torch.cat(inputs, -1)
        hidden = [torch.tanh(transform(x)) for transform, x in zip(transforms, inputs)]
        gates = torch.sigmoid(gate(joined))
        if len(inputs) == 2:
            return gates * hidden[0] + (1 - gates) * hidden[1]
        return sum(z * h for z, h in zip(gates.chunk(len(inputs), -1), hidden))

    for what, widths in [("vector", [4, 3]), ("vector", [2, 4, 3]), ("frames", [4, 3])]:
        transforms = [drawn(nn.Linear(wide, 3, bias=False)) for wide in widths]
        gate = drawn(nn.Linear(sum(widths), 3 * (1 if len(widths) == 2 else len(widths)), bias=False))
        parameters = linear("gated.gate", gate)
        for at, transform in enumerate(transforms):
            parameters |= linear(f"gated.transforms.{at}", transform)
        inputs = {
            f"inputs.{name}": (what, frames(wide) if what == "frames" else torch.randn(batch, wide))
            for name, wide in zip("abc", widths)
        }
        case(
            "fuse",
            {"how": {"gated": {"width": 3}}},
            inputs,
            parameters,
            lambda *x: gated(*x, transforms=transforms, gate=gate),
        )
    for how, join in {"concat": lambda *x: torch.cat(x, -1), "sum": lambda *x: sum(x)}.items():
        inputs = {f"inputs.{name}": ("frames", frames()) for name in "ab"}
        case("fuse", {"how": how}, inputs, {}, join)

    for training in [True, False]:
        channels = [2, 3]
        weights = [(0.5 * torch.randn(o, i, 3, 3)).requires_grad_() for i, o in zip([1] + channels, channels)]
        gammas = [(1 + 0.2 * torch.randn(o)).requires_grad_() for o in channels]
        betas = [(0.2 * torch.randn(o)).requires_grad_() for o in channels]
        before = [(0.3 * torch.randn(o), 0.5 + torch.rand(o)) for o in channels]
        parameters, buffers = {}, {}
        for at in range(2):
            parameters[f"blocks.{at}.conv.weight"] = (weights[at], False)
            parameters[f"blocks.{at}.gamma"] = (gammas[at], False)
            parameters[f"blocks.{at}.beta"] = (betas[at], False)
            buffers |= {f"blocks.{at}.running_{of}": x for of, x in zip(["mean", "var"], before[at])}

        def conv_pool(x):
            # Items shorter than one output frame are padded to one.
            y, now, running = x[:, None], [max(length, 4) for length in lengths], {}
            for at in range(2):
                y, now, after = masked_block(y, now, weights[at], gammas[at], betas[at], before[at], training)
                running |= {f"blocks.{at}.running_{of}": x for of, x in zip(["mean", "var"], after)}
            return torch.stack([item[:, :length].mean((1, 2)) for item, length in zip(y, now)]), running

        case(
            "conv_pool",
            {"channels": channels},
            {"input": ("frames", frames(6))},
            parameters,
            conv_pool,
            training=training,
            buffers=buffers,
        )

    for norm_first, causal in [(False, False), (True, False), (False, True), (True, True)]:
        layers = [
            drawn(
                nn.TransformerEncoderLayer(
                    width, 2, 3, dropout=0.0, activation="relu", batch_first=True, norm_first=norm_first
                )
            )
            for _ in range(2)
        ]
        parameters, split = {}, {}
        for at, layer in enumerate(layers):
            name = f"encoder.layers.{at}"
            attention = layer.self_attn
            parts = {}
            for of in ["weight", "bias"]:
                whole = getattr(attention, f"in_proj_{of}")
                for part, x in zip(["query", "key", "value"], whole.detach().chunk(3)):
                    parts[part, of] = x.clone().requires_grad_()
                    parameters[f"{name}.mha.{part}.{of}"] = (parts[part, of], of == "weight")
            split[at] = parts
            parameters |= linear(f"{name}.mha.output", attention.out_proj)
            parameters |= linear(f"{name}.pwff.linear_inner", layer.linear1)
            parameters |= linear(f"{name}.pwff.linear_outer", layer.linear2)
            # Burn calls the norm that is applied last the second, and in front the one applied first.
            of_attention, of_feed_forward = ("norm_2", "norm_1") if norm_first else ("norm_1", "norm_2")
            for part, norm in [(of_attention, layer.norm1), (of_feed_forward, layer.norm2)]:
                parameters[f"{name}.{part}.gamma"] = (norm.weight, False)
                parameters[f"{name}.{part}.beta"] = (norm.bias, False)

        def encode(x):
            for at, layer in enumerate(layers):
                joined = {
                    f"self_attn.in_proj_{of}": torch.cat([split[at][part, of] for part in ["query", "key", "value"]])
                    for of in ["weight", "bias"]
                }
                call = {"src_key_padding_mask": mask[:, :, 0] == 0}
                if causal:
                    call = {"src_mask": torch.ones(time, time, dtype=torch.bool).triu(1)}
                x = torch.func.functional_call(layer, joined, (x,), call)
            return x

        case(
            "transformer",
            {
                "stack": 1,
                "width": width,
                "layers": 2,
                "heads": 2,
                "feed_forward": 3,
                "dropout": 0.0,
                "projection": False,
                "positions": "none",
                "activation": "relu",
                "norm": "before" if norm_first else "after",
                **({"causal": True} if causal else {}),
            },
            {"input": ("frames", frames())},
            parameters,
            encode,
        )

    gru = nn.GRU(width, 3, num_layers=2, batch_first=True)
    for parameter in gru.parameters():
        nn.init.normal_(parameter, std=0.6)
    parameters = {}
    for at in range(2):
        for side in ["ih", "hh"]:
            parameters[f"layers.{at}.forward.weight_{side}"] = (getattr(gru, f"weight_{side}_l{at}"), True)
            parameters[f"layers.{at}.forward.bias_{side}"] = (getattr(gru, f"bias_{side}_l{at}"), False)
    case(
        "gru",
        {"hidden": 3, "layers": 2},
        {"input": ("frames", frames())},
        parameters,
        lambda x: gru(x)[0],
    )

    for kernel_size, dilation, activation in [(3, 1, "relu"), (2, 2, None)]:
        conv = drawn(nn.Conv1d(width, 5, kernel_size, dilation=dilation))

        def causal_conv(x):
            x = conv(F.pad(x.transpose(1, 2), ((kernel_size - 1) * dilation, 0))).transpose(1, 2)
            return F.relu(x) if activation else x

        case(
            "causal_conv",
            {"width": 5, "kernel_size": kernel_size, "dilation": dilation, "activation": activation},
            {"input": ("frames", frames())},
            {"conv.conv.weight": (conv.weight, False), "conv.conv.bias": (conv.bias, False)},
            causal_conv,
        )
    write("blocks", {"lengths": lengths, "cases": cases})


class Muon(torch.optim.Optimizer):
    """Muon in double precision: torch.optim.Muon rounds to bfloat16 inside.

    Jordan et al. 2024 (momentum, Nesterov, five quintic iterations); updates of the size of AdamW's,
    0.2 sqrt(max(rows, columns)), and decoupled decay as Liu et al. 2025, equations 3 and 4.
    """

    def __init__(self, parameters, lr, momentum, steps, decay):
        super().__init__(parameters, dict(lr=lr, momentum=momentum, steps=steps, decay=decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("buffer", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                x = p.grad.lerp(buffer, group["momentum"])
                x = x / x.norm()
                for _ in range(group["steps"]):
                    gram = x @ x.T
                    x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
                p.mul_(1 - group["lr"] * group["decay"])
                p.sub_(group["lr"] * 0.2 * math.sqrt(max(p.shape)) * x)


class Together:
    """Several optimizers as one."""

    def __init__(self, *optimizers):
        self.optimizers = optimizers

    def zero_grad(self):
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self):
        for optimizer in self.optimizers:
            optimizer.step()


class Classifier(nn.Module):
    """Linear; linear, ReLU, mean over frames, linear."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(3, 4)
        self.projection = nn.Linear(4, 5)
        self.classes = nn.Linear(5, 3)

    def forward(self, frames):
        return self.classes(torch.relu(self.projection(self.hidden(frames))).mean(1))


def optimizers():
    """Five steps on a small classifier, with the averages of its weights."""
    torch.manual_seed(3)
    frames = torch.randn(6, 4, 3)
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    start = {name: (0.7 if value.dim() == 2 else 0.3) * torch.randn_like(value) for name, value in Classifier().state_dict().items()}
    places = {"hidden": "hidden.linear", "projection": "head.projection", "classes": "head.classes"}

    def layout(tensors):
        found = {}
        for name, tensor in tensors:
            layer, part = name.split(".")
            found[f"{places[layer]}.{part}"] = stored(tensor.T if tensor.dim() == 2 else tensor)
        return found

    def grouped(model, matrix, vector, hidden=None):
        """Settings of matrices, of vectors, and of the first layer on top."""
        groups = []
        for name, value in model.named_parameters():
            group = dict(matrix if value.dim() == 2 else vector)
            if hidden and name.startswith("hidden"):
                group.update({key: of for key, of in hidden.items() if key != "weight_decay" or group[key]})
            groups.append({"params": [value], **group})
        return groups

    def muon(model):
        matrix = [model.hidden.weight]
        rest = [value for name, value in model.named_parameters() if name != "hidden.weight"]
        return Together(
            Muon(matrix, 0.05, 0.9, 5, 0.1), torch.optim.AdamW(rest, 0.05, betas=(0.9, 0.95), weight_decay=0.1)
        )

    lr = 0.05
    runs = []
    optim = torch.optim
    decayed = {"weight_decay": 0.2}
    for optimizer, rest, clip, make in [
        ({"kind": "adam"}, {}, None, lambda m: optim.Adam(m.parameters(), lr)),
        (
            {"kind": "adam", "betas": [0.8, 0.95], "eps": 1e-4, "weight_decay": 0.1},
            {},
            None,
            lambda m: optim.Adam(m.parameters(), lr, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.1),
        ),
        ({"kind": "adamw"}, {}, None, lambda m: optim.AdamW(m.parameters(), lr)),
        (
            {"kind": "adamw", "betas": [0.8, 0.95], **decayed},
            {},
            None,
            lambda m: optim.AdamW(m.parameters(), lr, betas=(0.8, 0.95), **decayed),
        ),
        (
            {"kind": "adamw", **decayed},
            {"weight_decay_on": "matrices"},
            None,
            lambda m: optim.AdamW(grouped(m, decayed, {"weight_decay": 0.0}), lr),
        ),
        (
            {"kind": "adam", **decayed},
            {
                "weight_decay_on": "matrices",
                "groups": [{"nodes": ["hidden"], "lr_factor": 0.5, "weight_decay": 0.6}],
            },
            0.2,
            lambda m: optim.Adam(
                grouped(m, decayed, {"weight_decay": 0.0}, {"lr": 0.5 * lr, "weight_decay": 0.6}), lr
            ),
        ),
        ({"kind": "sgd"}, {}, None, lambda m: optim.SGD(m.parameters(), lr)),
        ({"kind": "sgd", "momentum": 0.9}, {}, None, lambda m: optim.SGD(m.parameters(), lr, momentum=0.9)),
        (
            {"kind": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
            {},
            None,
            lambda m: optim.SGD(m.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=0.05),
        ),
        ({"kind": "sgd", "momentum": 0.5}, {}, 0.05, lambda m: optim.SGD(m.parameters(), lr, momentum=0.5)),
        ({"kind": "muon", "momentum": 0.9, "betas": [0.9, 0.95]}, {}, None, muon),
    ]:
        model = Classifier()
        model.load_state_dict(start)
        moving = torch.optim.swa_utils.AveragedModel(
            model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.1)
        )
        mean = torch.optim.swa_utils.AveragedModel(model)
        steps = make(model)
        losses, norms = [], []
        for step in range(5):
            steps.zero_grad()
            loss = F.cross_entropy(model(frames), labels)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), math.inf if clip is None else clip)
            steps.step()
            moving.update_parameters(model)
            if step >= 2:
                mean.update_parameters(model)
            losses.append(number(loss))
            norms.append(number(norm))
        run = {
            "training": {"optimizer": {**optimizer, "lr": lr}, **rest},
            "clip_norm": clip,
            "losses": losses,
            "norms": norms,
            "end": layout(model.named_parameters()),
        }
        if optimizer == {"kind": "adamw"}:
            run["ema"] = layout(moving.module.named_parameters())
            run["swa"] = layout(mean.module.named_parameters())
        runs.append(run)
    write(
        "optimizers",
        {
            "frames": stored(frames),
            "labels": labels.tolist(),
            "start": layout(start.items()),
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
    plateau = []
    for metric, mode in [("loss", "min"), ("emotion.uar", "max")]:
        for patience, cooldown, threshold in [(2, 0, 1e-4), (1, 2, 0.05), (0, 0, 0.0)]:
            torch.manual_seed(patience)
            values = (torch.rand(24) if mode == "max" else 2 * torch.rand(24)).tolist()
            optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1)
            scheduler = lr.ReduceLROnPlateau(
                optimizer, mode, 0.3, patience, threshold, cooldown=cooldown, min_lr=1e-3
            )
            found = []
            for value in values:
                found.append(optimizer.param_groups[0]["lr"])
                optimizer.step()
                scheduler.step(value)
            fields = {"kind": "plateau", "factor": 0.3, "patience": patience, "cooldown": cooldown}
            plateau.append(
                {
                    "scheduler": {**fields, "threshold": threshold, "min_lr": 1e-3, "metric": metric},
                    "values": values,
                    "rates": found,
                }
            )
    write("plateau", plateau)
    write("schedules", cases)


if __name__ == "__main__":
    cross_entropy()
    crnn()
    transformer()
    blocks()
    optimizers()
    schedules()
