"""Writes mamba.json for crates/nodes/tests/it/golden.rs: transformers' MambaModel in double precision, on frames of its
width, padded on the right, with gradients.

Made with Python 3.11, torch 2.15.0 and transformers 5.24.0: python tests/golden/make_mamba.py
"""

import torch
from transformers import MambaConfig, MambaModel

from make_golden import stored, write

torch.set_default_dtype(torch.float64)


def mamba():
    torch.manual_seed(7)
    width, lengths = 6, [13, 5, 9]
    config = MambaConfig(
        vocab_size=2,
        hidden_size=width,
        state_size=4,
        num_hidden_layers=2,
        expand=2,
        conv_kernel=4,
        layer_norm_epsilon=1e-5,
        use_bias=False,
        use_conv_bias=True,
        use_mambapy=False,
    )
    model = MambaModel(config).double().train()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # What is drawn as constants is made to differ.
            if name.endswith(("D", "norm.weight", "norm_f.weight", "A_log")):
                parameter.add_(0.3 * torch.randn_like(parameter))
            elif "dt_proj.bias" in name:
                parameter.add_(2.0 * torch.rand_like(parameter))
    mask = torch.tensor([[float(at < length) for at in range(max(lengths))] for length in lengths])
    frames = (torch.randn(3, max(lengths), width) * mask[..., None]).requires_grad_()
    seen = torch.randn(3, max(lengths), width) * mask[..., None]
    output = model(inputs_embeds=frames, attention_mask=mask).last_hidden_state * mask[..., None]
    (output * seen).sum().backward()

    def named():
        names = {
            "norm.weight": "norm.gamma",
            "mixer.in_proj.weight": "forward.into.weight",
            "mixer.conv1d.weight": "forward.conv_weight",
            "mixer.conv1d.bias": "forward.conv_bias",
            "mixer.x_proj.weight": "forward.selection.weight",
            "mixer.dt_proj.weight": "forward.durations.weight",
            "mixer.dt_proj.bias": "forward.durations.bias",
            "mixer.A_log": "forward.decay",
            "mixer.D": "forward.passing",
            "mixer.out_proj.weight": "forward.out.weight",
        }
        for at, layer in enumerate(model.layers):
            parameters = dict(layer.named_parameters())
            assert sorted(parameters) == sorted(names), sorted(parameters)
            for theirs, ours in names.items():
                yield f"node.layers.{at}.{ours}", parameters[theirs]
        yield "node.norm.gamma", model.norm_f.weight

    def layout(name, tensor):
        if name.endswith("conv_weight"):
            tensor = tensor[:, 0]
        elif name.endswith(".weight"):
            tensor = tensor.T
        return stored(tensor)

    write(
        "mamba",
        {
            "fields": {"width": width, "layers": 2, "states": 4, "dropout": 0.0},
            "lengths": lengths,
            "frames": stored(frames),
            "seen": stored(seen),
            "weights": {name: layout(name, parameter) for name, parameter in named()},
            "output": stored(output),
            "gradients": {name: layout(name, parameter.grad) for name, parameter in named()},
            "input_gradient": stored(frames.grad),
        },
    )


if __name__ == "__main__":
    mamba()
