"""Writes hubert_batch_norm: HuBERT with batch norm in front of its positional convolution, and its hidden states.

Made with Python 3.11, torch 2.15.0, transformers 5.24.0, numpy 2.4.6:
python tests/golden/encoders/make_batch_norm.py

Layout of the files as in make_encoders.py, without gradients: two items, each run alone (unpadded) in float64 and eval
mode, so that hidden states of the second are those of an item that others pad.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file
from transformers import HubertConfig, HubertModel

HERE = Path(__file__).parent
torch.manual_seed(11)
config = json.loads((HERE / "hubert_base/config.json").read_text())
config.update(conv_pos_batch_norm=True)
model = HubertModel(HubertConfig.from_dict(config)).eval()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.normal_(0, 0.2) if parameter.dim() > 1 else parameter.add_(torch.randn_like(parameter) * 0.2)
    norm = model.encoder.pos_conv_embed.batch_norm
    norm.running_mean.normal_(0, 0.5)
    norm.running_var.uniform_(0.3, 2)
folder = HERE / "hubert_batch_norm"
folder.mkdir(exist_ok=True)
model.save_pretrained(folder)
(folder / "preprocessor_config.json").write_text((HERE / "hubert_base/preprocessor_config.json").read_text())

inputs = load_file(HERE / "input.safetensors")
lengths = [3600, 2400]
model = model.double()
states = []
with torch.no_grad():
    for item, length in enumerate(lengths):
        wave = torch.tensor(inputs[f"input.{item}"][:length]).double()
        if json.loads((folder / "preprocessor_config.json").read_text())["do_normalize"]:
            wave = (wave - wave.mean()) / torch.sqrt(wave.var(unbiased=False) + 1e-7)
        states.append(model(wave[None], output_hidden_states=True).hidden_states)
frames = [state[0].shape[1] for state in states]
golden = {"lengths": torch.tensor(lengths), "frame_lengths": torch.tensor(frames)}
for number in range(len(states[0])):
    padded = torch.zeros(2, max(frames), states[0][0].shape[2])
    for item, state in enumerate(states):
        padded[item, : frames[item]] = state[number][0].float()
    golden[f"hidden.{number}"] = padded
save_file(golden, folder / "golden.safetensors")
