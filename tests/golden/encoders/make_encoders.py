"""Writes small self-supervised encoders and their golden vectors from HuggingFace transformers.

Made with Python 3.11, torch 2.15.0, transformers 5.23.0, safetensors 0.8.0, numpy 2.4.6:
python tests/golden/encoders/make_encoders.py
With --full FOLDER: HuBERT base at its published size instead (0.8 GiB), for the same tests by hand:
EMORUN_ENCODERS=FOLDER cargo test --release --test it -- pretrained::every pretrained::gradients

Each folder is a checkpoint as `save_pretrained` writes it (config.json, model.safetensors,
preprocessor_config.json), every tensor of it drawn away from its default, with the values and
gradients that checkpoint gives in golden.safetensors. The model runs in float64 in eval mode with
eager attention (float32 weights and waveforms, widened) and the results are rounded to float32
once, so a difference is the implementation's own. The tensors without any effect are named in the
golden file's metadata (`without_effect`, a JSON list) and checked here: this script fails if
zeroing any other tensor of the encoder moves the last hidden state by less than 1 % of its standard
deviation.

input.safetensors holds two raw waveforms, input.0 and input.1, shared by the speech encoders: item
b of a layout is the first lengths[b] samples of input.b, padded with zeros at the end.

golden.safetensors, speech encoders (B items, S samples, T frames, H = 16, N layers, all f32 but the
lengths):
  lengths             [B] i64     samples of each item; frame_lengths [B] i64: its frames
  input_values        [B, S]      after the feature extractor (hubert_large and wav2vec2_base only,
                                  one padded and one not; it is the input if do_normalize is false)
  cnn                 [B, T, 8]   convolutional features, before the projection's layer norm
  hidden.0 … hidden.N [B, T, H]   transformers' `hidden_states`, padded frames as it gives them
  last_hidden_state   [B, T, H]   `last_hidden_state`; absent where it is hidden.N
  R                   [B, T, H]   zero on padded frames; loss = sum(last_hidden_state * R)
  grad.<name>                     d loss / d parameter, <name> as in model.safetensors
Group-norm layouts: one item, unpadded, no attention mask; data2vec_audio: one item, unpadded.
Layer-norm layouts: two items, the second padded, and `attention_mask` (one on its samples, zero on the padding) given to the model; these are
the layouts with return_attention_mask in preprocessor_config.json.

golden.safetensors, whisper (H = 8): `frames` [F] i64 some frames of the 1500, hidden.0 … hidden.N
[1, F, H] and R [1, F, H] on those frames only (R is zero elsewhere), hidden.mean.i and hidden.std.i
[H] over all 1500 frames (population standard deviation), grad.<name> as above.
Its input is not stored. With m = 0 … 79, t = 0 … 2999, in float64 and then rounded to float32:
  mel[m, t] = 0.5 sin(0.37 m + 0.011 t) + 0.4 cos(0.21 m - 0.0137 t) + 0.3 sin(0.9 m) sin(0.45 t)
The log-mel front end has its own values: `front.frames` [G] i64 and `front.log_mel` [80, G] of the
waveform of 24000 samples
  x[n] = e(n) (0.3 sin(0.02 n + 6e-6 n^2) + 0.1 sin(0.7 n) + 0.05 sin(1.9 n)),
  e(n) = 0.5 - 0.5 cos(2 pi n / 24000), in float64 and then rounded to float32;
values from the feature extractor's formula in float64, checked against transformers' float32 to
1e-4 absolute.

hubert_base_bin holds the tensors of hubert_base in a pytorch_model.bin (zip) under the old names of
weight norm; hubert_base_head holds them below `hubert.` with a classification head. The golden
vectors of both are hubert_base's.

Where transformers is not what one would guess
  Input normalisation: (x - mean) / sqrt(var + 1e-7), population variance, each item over its own
    samples; the padding is exactly 0 after it.
  Feature extractor: `group` has a GroupNorm of one channel a group (instance norm over time, the
    padding included) after convolution 0 only, `layer` a LayerNorm over channels after every
    convolution; both before the GELU, both eps 1e-5 whatever layer_norm_eps says. Padding is not
    masked here.
  Frames of an item: floor((n - kernel) / stride) + 1, once for each convolution, from its samples.
  Projection: LayerNorm (layer_norm_eps) and then linear. HuBERT alone may lack this norm
    (feat_proj_layer_norm false).
  Padded frames are set to 0 after the projection and before the positional convolution, and are
    masked as keys; as queries they give values, which are in `hidden.*` here and carry no meaning.
  Positional convolution: padding kernel / 2 (integer) at both ends, the last frame dropped when the
    kernel is even; weight = g v / |v| with the norm over the first two axes of v [H, H / groups, K]
    and g [1, 1, K]; then GELU; added to its input. `original0` is g and `original1` is v.
  Post-norm (do_stable_layer_norm false): hidden.0 = encoder.layer_norm(x + pos(x)); a layer is
    x = layer_norm(x + attention(x)); x = final_layer_norm(x + feed_forward(x)). last = hidden.N.
  Stable: hidden.0 = x + pos(x) without a norm; a layer is x = x + attention(layer_norm(x));
    x = x + feed_forward(final_layer_norm(x)). encoder.layer_norm is applied once, after the last
    layer: last_hidden_state = encoder.layer_norm(hidden.N). transformers 4.57.3 gives this normed
    state as hidden_states[N] too, 5.23.0 the state before the norm; all else here is the same in
    both, which was tried.
  GELU is the exact one, x Phi(x), everywhere. Attention scores are scaled by head_dim^-0.5.
  k_proj.bias adds the same number to every score of a query, so softmax takes it away: its gradient
    is 0 (rounding residue in grad.*) and no output depends on it. Whisper's k_proj has no bias.
  masked_spec_embed is in a checkpoint if mask_time_prob or mask_feature_prob is above 0 (the
    default) and unused outside SpecAugment; it has no grad.* here.
  WavLM: layer 0 holds rel_attn_embed [num_buckets, heads]; its bias P[h, i, j] is computed once and
    used by every layer under that layer's own gate. With d = j - i, n = num_buckets / 2, e = n / 2
    (integer divisions): bucket = (n if d > 0) + (|d| if |d| < e, else
    min(n - 1, floor(e + ln(|d| / e) / ln(max_bucket_distance / e) * (n - e)))), in float32 even in
    a float64 model; bucket n is never used. The gate is of the attention's own input x (in the
    stable layout after layer_norm), cut into heads before any projection: with
    y = gru_rel_pos_linear(x_h) in R^8, a = sigmoid(y0 + … + y3), b = sigmoid(y4 + … + y7),
    gate = a (b c_h - 1) + 2 with c = gru_rel_pos_const [1, heads, 1, 1];
    score = q k / sqrt(head_dim) + gate[h, i] P[h, i, j].
  data2vec-audio: convolutions with LayerNorm only (no feat_extract_norm in its configuration), the
    encoder post-norm only. Positional: num_conv_pos_embeddings layers one after another, each
    convolution (kernel conv_pos_kernel_size, same padding rule, no weight norm), LayerNorm without
    weights (eps 1e-5), GELU; the result is added to the input once.
  Whisper: GELU(conv1), GELU(conv2, stride 2), both padding 1; plus embed_positions, which is stored
    in the checkpoint and frozen (no gradient); pre-norm layers, eps 1e-5 fixed; no mask. hidden.N
    is after the final layer_norm and equals last_hidden_state, the state before it is not given.
    The checkpoint keeps a decoder and the prefix `model.`. Log-mel: periodic Hann 400, hop 160, centred
    with reflection after padding to 30 s, power, slaney mel, log10 of max(., 1e-10), last frame
    dropped, max(., its maximum over the 30 s - 8), (. + 4) / 4.
"""

import argparse
import itertools
import json
import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertForSequenceClassification,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

torch.set_num_threads(1)
FOLDER = Path(__file__).parent

SIZES = dict(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    conv_dim=[8] * 7,
    conv_kernel=[10, 3, 3, 3, 3, 2, 2],
    conv_stride=[5, 2, 2, 2, 2, 2, 2],
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=4,
    hidden_dropout=0.0,
    activation_dropout=0.0,
    attention_dropout=0.0,
    feat_proj_dropout=0.0,
    final_dropout=0.0,
    layerdrop=0.0,
    apply_spec_augment=False,
)
# What the configurations of transformers leave at the published sizes.
FULL = {k: v for k, v in SIZES.items() if "drop" in k or k == "apply_spec_augment"}
GROUP = dict(feat_extract_norm="group", do_stable_layer_norm=False, conv_bias=False)
LAYER = dict(feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True)
# Buckets are logarithmic from distance 8 on and the last one begins at 18 frames.
BUCKETS = dict(num_buckets=32, max_bucket_distance=20, num_hidden_layers=3)

# name: model, configuration, settings beside SIZES, samples of each item, do_normalize
LAYOUTS = {
    "hubert_base": (HubertModel, HubertConfig, GROUP, [5400], False),
    "hubert_large": (
        HubertModel,
        HubertConfig,
        LAYER | dict(num_attention_heads=2),
        [3600, 2500],
        True,
    ),
    "wav2vec2_base": (Wav2Vec2Model, Wav2Vec2Config, GROUP, [4100], True),
    # An odd kernel, and an eps of its own to tell apart the norms that follow the configuration.
    "wav2vec2_large": (
        Wav2Vec2Model,
        Wav2Vec2Config,
        LAYER | dict(num_conv_pos_embeddings=15, layer_norm_eps=1e-3),
        [3600, 2700],
        True,
    ),
    "wavlm_base": (WavLMModel, WavLMConfig, GROUP | BUCKETS, [7400], False),
    "wavlm_large": (
        WavLMModel,
        WavLMConfig,
        LAYER | BUCKETS | dict(num_attention_heads=2, num_hidden_layers=2),
        [7000, 4300],
        True,
    ),
    "data2vec_audio": (
        Data2VecAudioModel,
        Data2VecAudioConfig,
        dict(num_conv_pos_embeddings=3, conv_pos_kernel_size=5, conv_bias=False),
        # Unpadded: behind its first positional convolution transformers lets padding into valid frames.
        [3600],
        True,
    ),
}


def draw(model, branch=1.0):
    """Draws every tensor away from its default, keeping activations of order one.

    What a residual branch ends with is scaled by `branch`.
    """
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape)
        module = model.get_submodule(name.rsplit(".", 1)[0]) if "." in name else None
        if name.endswith("embed_positions.weight"):
            value = parameter.detach() + 0.2 * noise
        elif isinstance(module, (torch.nn.LayerNorm, torch.nn.GroupNorm)):
            value = 0.3 * noise + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("gru_rel_pos_const"):
            value = 1.0 + 0.5 * noise
        elif name.endswith("rel_attn_embed.weight"):
            value = 1.5 * noise
        elif "gru_rel_pos_linear" in name:
            value = 0.6 * noise
        elif name.endswith("masked_spec_embed"):
            value = noise
        elif name.endswith("parametrizations.weight.original0"):
            value = 1.0 + 0.3 * noise
        elif parameter.dim() < 2:
            value = (1.0 if "q_proj" in name else 0.3) * noise
        else:
            gain = 1.5 if "conv" in name else 1.0
            # Attention that is nearly uniform would hide errors in the scores.
            gain = 1.6 if "q_proj" in name or "k_proj" in name else gain
            gain = branch if "out_proj" in name or "output_dense" in name else gain
            value = gain * noise / math.sqrt(parameter[0].numel())
        parameter.data.copy_(value)
    return model.eval()


def waveform(samples):
    """Three tones under an envelope, noise and an offset, so that normalisation matters."""
    n = torch.arange(samples, dtype=torch.float64)
    pitch = 0.05 + 0.02 * torch.rand(1, dtype=torch.float64)
    tones = sum(torch.sin(k * pitch * n + 3e-6 * k * n**2) / k for k in (1, 2, 5))
    envelope = 0.6 + 0.4 * torch.sin(0.002 * n + torch.rand(1, dtype=torch.float64))
    noise = torch.randn(samples, dtype=torch.float64)
    return (0.2 * envelope * tones + 0.05 * noise + 0.03).float()


def normalised(items):
    """The feature extractor's normalisation in float64, with its padding."""
    rows = []
    for item in items:
        item = item.double()
        rows.append((item - item.mean()) / torch.sqrt(item.var(unbiased=False) + 1e-7))
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


def spread(error, reference):
    return (error.abs().max() / reference.std()).item()


def run(model, inputs, mask, gradients_of):
    """Hidden states, last hidden state and, where R is given, the gradients of sum(last * R)."""
    arguments = {} if mask is None else {"attention_mask": mask}
    if gradients_of is None:
        with torch.no_grad():
            output = model(inputs, output_hidden_states=True, **arguments)
        return output.hidden_states, output.last_hidden_state, {}
    model.zero_grad(set_to_none=True)
    output = model(inputs, output_hidden_states=True, **arguments)
    last = output.last_hidden_state
    (last * gradients_of.to(last.dtype)).sum().backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return [h.detach() for h in output.hidden_states], last.detach(), gradients


def check(name, model, forward, last, valid, gradients, unused):
    """Fails unless each tensor but the named ones matters; returns the least movement."""
    weakest = math.inf
    for key, parameter in model.named_parameters():
        kept = parameter.data.clone()
        parameter.data.zero_()
        moved = spread((forward(model) - last)[valid], last[valid])
        parameter.data.copy_(kept)
        if key in unused or key.endswith(unused):
            assert moved < 1e-10, (name, key, moved)
            assert key not in gradients or gradients[key].abs().max() < 1e-10, (name, key)
        else:
            # A weight norm with v = 0 is 0 / 0: not a number, which is seen as well.
            assert math.isnan(moved) or moved > 1e-2, (name, key, moved)
            weakest = weakest if math.isnan(moved) else min(weakest, moved)
            assert key not in gradients or gradients[key].abs().max() > 1e-2, (name, key)
    return weakest


def report(name, folder, weakest, error, gradient_error, hidden):
    sizes = sum(f.stat().st_size for f in folder.iterdir())
    stds = " ".join(f"{h.std():.2f}" for h in hidden)
    print(
        f"{name}: {sizes / 1024:.0f} KiB, std of hidden states {stds}; zeroing a tensor moves the"
        f" output by >= {weakest:.2g} std; float32: error / std {error:.1e}, gradients"
        f" {gradient_error:.1e} relative"
    )


def relative(gradients32, gradients, unused):
    return max(
        ((gradients32[k].double() - g).abs().max() / g.abs().max()).item()
        for k, g in gradients.items()
        if not k.endswith(unused)
    )


def stored(tensors):
    return {
        k: (v if v.dtype == torch.int64 else v.detach().float()).contiguous()
        for k, v in tensors.items()
    }


def speech(name, seed, waveforms, sizes=SIZES):
    kind, config_kind, settings, lengths, normalise = LAYOUTS[name]
    torch.manual_seed(seed)
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    config = config_kind(**(sizes | settings))
    config._attn_implementation = "eager"
    # Through twelve layers of strong branches frames become alike, and single precision itself loses
    # the gradients of what tells them apart.
    model = draw(kind(config), branch=1.0 if sizes is SIZES else 0.3)
    model.save_pretrained(folder)
    masked = getattr(config, "feat_extract_norm", "layer") == "layer"
    extractor = Wav2Vec2FeatureExtractor(
        do_normalize=normalise, return_attention_mask=masked, padding_value=0.0
    )
    extractor.save_pretrained(folder)

    items = [whole[:n] for whole, n in zip(waveforms, lengths)]
    raw = torch.nn.utils.rnn.pad_sequence(items, batch_first=True)
    inputs = normalised(items) if normalise else raw.double()
    published = extractor(
        [i.numpy() for i in items], sampling_rate=16000, padding=True, return_tensors="pt"
    )
    assert (published["input_values"].double() - inputs).abs().max() < 2e-6
    assert ("attention_mask" in published) == masked
    mask = published["attention_mask"] if masked else None

    frames = model._get_feat_extract_output_lengths(torch.tensor(lengths))
    valid = torch.arange(frames.max())[None] < frames[:, None]
    R = torch.randn(len(lengths), int(frames.max()), config.hidden_size) * valid[..., None]

    hidden32, last32, gradients32 = run(model, inputs.float(), mask, R)
    model = model.double()
    hidden, last, gradients = run(model, inputs, mask, R)
    assert last.shape[1] == frames.max()
    with torch.no_grad():
        cnn = model.feature_extractor(inputs).transpose(1, 2)

    unused = ("masked_spec_embed", "k_proj.bias")
    weakest = math.nan
    if sizes is SIZES:
        weakest = check(
            name,
            model,
            lambda m: run(m, inputs, mask, None)[1],
            last,
            valid,
            gradients,
            unused,
        )
    tensors = {
        "lengths": torch.tensor(lengths),
        "frame_lengths": frames,
        "cnn": cnn,
        "R": R,
    }
    if name in ("hubert_large", "wav2vec2_base"):
        tensors["input_values"] = inputs
    tensors |= {f"hidden.{i}": h for i, h in enumerate(hidden)}
    if not torch.equal(hidden[-1], last):
        tensors["last_hidden_state"] = last
    tensors |= {f"grad.{k}": g for k, g in gradients.items()}
    without = json.dumps([n for n, _ in model.named_parameters() if n.endswith(unused)])
    save_file(stored(tensors), folder / "golden.safetensors", {"without_effect": without})
    error = max(spread((a.double() - b)[valid], b[valid]) for a, b in zip(hidden32, hidden))
    error = max(error, spread((last32.double() - last)[valid], last[valid]))
    report(name, folder, weakest, error, relative(gradients32, gradients, unused), hidden)
    return model.float()


def other_spellings(model):
    """The same tensors as the two other files people have: a .bin and a checkpoint with a head."""
    source = FOLDER / "hubert_base"
    folder = FOLDER / "hubert_base_bin"
    folder.mkdir(exist_ok=True)
    for file in ("config.json", "preprocessor_config.json"):
        (folder / file).write_text((source / file).read_text())
    old = {"parametrizations.weight.original0": "weight_g"}
    old["parametrizations.weight.original1"] = "weight_v"
    # As a module's own state: an OrderedDict that carries _metadata.
    own = model.state_dict()
    state = OrderedDict()
    state._metadata = own._metadata
    for name, tensor in own.items():
        for new_name, old_name in old.items():
            name = name.replace(new_name, old_name)
        state[name] = tensor.detach().clone()
    torch.save(state, folder / "pytorch_model.bin")

    folder = FOLDER / "hubert_base_head"
    folder.mkdir(exist_ok=True)
    config = HubertConfig(**(SIZES | GROUP), num_labels=4, classifier_proj_size=6)
    torch.manual_seed(90)
    head = draw(HubertForSequenceClassification(config))
    head.hubert.load_state_dict(model.state_dict())
    head.save_pretrained(folder)
    text = (source / "preprocessor_config.json").read_text()
    (folder / "preprocessor_config.json").write_text(text)


def whisper_mel():
    m = torch.arange(80, dtype=torch.float64)[:, None]
    t = torch.arange(3000, dtype=torch.float64)[None]
    slow = 0.5 * torch.sin(0.37 * m + 0.011 * t) + 0.4 * torch.cos(0.21 * m - 0.0137 * t)
    return (slow + 0.3 * torch.sin(0.9 * m) * torch.sin(0.45 * t)).float()[None]


def whisper_front(extractor):
    n = np.arange(24000, dtype=np.float64)
    envelope = 0.5 - 0.5 * np.cos(2 * np.pi * n / 24000)
    tones = 0.3 * np.sin(0.02 * n + 6e-6 * n**2) + 0.1 * np.sin(0.7 * n) + 0.05 * np.sin(1.9 * n)
    samples = (envelope * tones).astype(np.float32)
    published = extractor(samples, sampling_rate=16000, return_tensors="pt")["input_features"][0]

    padded = torch.zeros(480000, dtype=torch.float64)
    padded[: len(samples)] = torch.from_numpy(samples)
    window = torch.hann_window(400, dtype=torch.float64)
    power = torch.stft(padded, 400, 160, window=window, return_complex=True)[:, :-1].abs() ** 2
    mel = torch.from_numpy(extractor.mel_filters).double().T @ power
    mel = mel.clamp(min=1e-10).log10()
    mel = (torch.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0
    difference = (mel - published.double()).abs().max().item()
    assert difference < 1e-4, difference
    print(f"whisper log-mel: float64 beside transformers' float32 {difference:.1e} absolute")
    frames = torch.tensor([0, 1, 2, 3, 10, 30, 50, 74, 75, 76, 100, 120, 140, 147, 148, 149])
    frames = torch.cat([frames, torch.tensor([150, 151, 152, 1500, 2999])])
    return {"front.frames": frames, "front.log_mel": mel[:, frames]}


def whisper(seed):
    torch.manual_seed(seed)
    folder = FOLDER / "whisper"
    folder.mkdir(exist_ok=True)
    config = WhisperConfig(
        vocab_size=6,
        num_mel_bins=80,
        d_model=8,
        encoder_layers=2,
        encoder_attention_heads=2,
        encoder_ffn_dim=12,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=8,
        max_source_positions=1500,
        max_target_positions=4,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        begin_suppress_tokens=None,
    )
    config._attn_implementation = "eager"
    whole = draw(WhisperForConditionalGeneration(config))
    whole.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    extractor = WhisperFeatureExtractor()
    extractor.save_pretrained(folder)

    model = whole.model.encoder
    inputs = whisper_mel()
    frames = torch.cat([torch.arange(0, 12), torch.arange(100, 1400, 76), torch.arange(1490, 1500)])
    R = torch.zeros(1, 1500, config.d_model)
    R[:, frames] = torch.randn(1, len(frames), config.d_model)

    hidden32, _, gradients32 = run(model, inputs, None, R)
    model = model.double()
    hidden, last, gradients = run(model, inputs.double(), None, R)
    assert torch.equal(hidden[-1], last)
    valid = torch.ones(1, 1500, dtype=torch.bool)
    weakest = check(
        "whisper",
        model,
        lambda m: run(m, inputs.double(), None, None)[1],
        last,
        valid,
        gradients,
        (),
    )
    tensors = {"frames": frames, "R": R[:, frames]} | whisper_front(extractor)
    for i, h in enumerate(hidden):
        tensors[f"hidden.{i}"] = h[:, frames]
        tensors[f"hidden.mean.{i}"] = h[0].mean(0)
        tensors[f"hidden.std.{i}"] = h[0].std(0, unbiased=False)
    tensors |= {f"grad.model.encoder.{k}": g for k, g in gradients.items()}
    save_file(stored(tensors), folder / "golden.safetensors", {"without_effect": "[]"})
    error = max(spread(a.double() - b, b) for a, b in zip(hidden32, hidden))
    report("whisper", folder, weakest, error, relative(gradients32, gradients, ()), hidden)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", type=Path, metavar="FOLDER")
    FOLDER = parser.parse_args().full or FOLDER
    torch.manual_seed(1)
    lengths = itertools.zip_longest(*(layout[3] for layout in LAYOUTS.values()), fillvalue=0)
    raw = [waveform(max(item)) for item in lengths]
    save_file({f"input.{b}": w for b, w in enumerate(raw)}, FOLDER / "input.safetensors")
    if FOLDER != Path(__file__).parent:
        speech("hubert_base", 10, raw, FULL)
        raise SystemExit
    for position, layout in enumerate(LAYOUTS):
        small = speech(layout, 10 + position, raw)
        if layout == "hubert_base":
            other_spellings(small)
    whisper(seed=80)
