"""Writes masks.json and masked.safetensors, the golden vectors of SpecAugment inside encoders.

Made with Python 3.11, torch 2.15.0, transformers 5.24.0, safetensors 0.8.0, numpy 2.4.6:
python tests/golden/encoders/make_masks.py

masks.json: of transformers' `_compute_mask_indices`, the mean share of steps that are masked (`share`) and that of
the first step alone (`first`), over many draws of one item of `steps` steps.

masked.safetensors: `<layout>` is `last_hidden_state` of the layout's checkpoint in float64 where every frame is masked
(`mask_time_indices` all true, `apply_spec_augment` true, nothing else random), rounded to float32, of the items of
that layout's golden.safetensors.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import HubertModel, Wav2Vec2Model, WavLMModel
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

here = Path(__file__).parent
np.random.seed(0)

cases = []
for steps, prob, length, min_masks in (
    (100, 0.05, 10, 2),
    (100, 0.3, 10, 0),
    (100, 0.65, 10, 2),
    (49, 0.075, 10, 2),
    (20, 0.9, 10, 0),
    (12, 0.05, 10, 2),
    (768, 0.1, 64, 0),
    (30, 0.5, 1, 0),
):
    masks = np.concatenate(
        [_compute_mask_indices((1, steps), prob, length, min_masks=min_masks) for _ in range(20_000)]
    )
    cases.append(
        {
            "steps": steps,
            "prob": prob,
            "length": length,
            "min_masks": min_masks,
            "share": round(float(masks.mean()), 5),
            "first": round(float(masks[:, 0].mean()), 5),
        }
    )
(here / "masks.json").write_text(json.dumps(cases) + "\n")

inputs = load_file(here / "input.safetensors")
states = {}
for layout, kind in (
    ("hubert_base", HubertModel),
    ("wav2vec2_large", Wav2Vec2Model),
    ("wavlm_base", WavLMModel),
):
    model = kind.from_pretrained(here / layout, attn_implementation="eager").double().eval()
    model.config.apply_spec_augment = True
    golden = load_file(here / layout / "golden.safetensors")
    normalise = json.loads((here / layout / "preprocessor_config.json").read_text())["do_normalize"]
    lengths, frames = golden["lengths"].tolist(), golden["frame_lengths"].tolist()
    waves = []
    for item, length in enumerate(lengths):
        wave = inputs[f"input.{item}"][:length].double()
        if normalise:
            wave = (wave - wave.mean()) / torch.sqrt(wave.var(unbiased=False) + 1e-7)
        waves.append(torch.nn.functional.pad(wave, (0, max(lengths) - length)))
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        given = {"attention_mask": mask.long()} if len(lengths) > 1 else {}
        plain = model(torch.stack(waves), **given).last_hidden_state
        known = golden.get("last_hidden_state")
        if known is None:
            known = golden[f"hidden.{model.config.num_hidden_layers}"]
        for item, count in enumerate(frames):
            assert torch.allclose(plain[item, :count].float(), known[item, :count], atol=1e-5), layout
        everything = torch.ones(len(lengths), max(frames), dtype=torch.bool)
        masked = model(torch.stack(waves), mask_time_indices=everything, **given).last_hidden_state
    states[layout] = masked.float().contiguous()
save_file(states, here / "masked.safetensors")
