"""Writes features.json and features_*.f32: cepstra, Kaldi filterbanks and Whisper's input of fixed signals.

Made with torch 2.15.0, torchaudio 2.11.0 and transformers 5.23.0; features.json stores the versions.
Where torchaudio refuses a torch built for another CUDA version, which this does not use, set
torch.version.cuda = None before importing it.
Run from anywhere, after make_log_mel.py: python make_features.py
"""

import json
import pathlib

import numpy as np
import torch

torch.version.cuda = None
import torchaudio
import transformers

HERE = pathlib.Path(__file__).parent


def noise(samples, block, blocks):
    """White noise that falls by 12 dB each block, over and over; the test makes the same bits."""
    with np.errstate(over="ignore"):
        state = np.uint64(0x9E3779B97F4A7C15) * np.arange(1, samples + 1, dtype=np.uint64)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    uniform = (state >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    return (uniform * 0.25 ** (np.arange(samples) // block % blocks)).astype(np.float32)


SIGNALS = {
    "speech": np.fromfile(HERE / "log_mel_signal.f32", dtype=np.float32),
    "random": noise(4000, 4000, 1),
    "fading": noise(4000, 500, 8),
    "tone": (0.5 * np.sin(2 * np.pi * 440 / 16000 * np.arange(4000))).astype(np.float32),
    "long": noise(496_000, 16_000, 8),
}

MFCC = {
    "mfcc_speech": ("speech", {}),
    "mfcc_random": ("random", {}),
    "mfcc_fading": ("fading", {"mel": {"n_mels": 64}}),
    "mfcc_tone": ("tone", {}),
    "mfcc_log_mels": (
        "speech",
        {"n_mfcc": 13, "log_mels": True, "norm": None,
         "mel": {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 40, "f_min": 20.0, "f_max": 7600.0}},
    ),
    "mfcc_slaney": (
        "random",
        {"n_mfcc": 20, "mel": {"n_fft": 512, "n_mels": 20, "center": False, "norm": "slaney", "mel_scale": "slaney"}},
    ),
}

KALDI = {
    "kaldi_default": ("speech", {}),
    "kaldi_random": ("random", {}),
    "kaldi_tone": ("tone", {"scale": 32768.0}),
    "kaldi_80_bands": ("speech", {"scale": 32768.0, "num_mel_bins": 80, "window_type": "hamming"}),
    "kaldi_hanning": ("fading", {"scale": 32768.0, "window_type": "hanning", "snip_edges": False, "use_energy": True}),
    "kaldi_htk_energy": (
        "random",
        {"use_energy": True, "htk_compat": True, "raw_energy": False, "energy_floor": 0.0, "low_freq": 100.0,
         "high_freq": -400.0},
    ),
    "kaldi_floor": ("fading", {"use_energy": True, "energy_floor": 2.0}),
    "kaldi_magnitude": (
        "speech",
        {"use_power": False, "use_log_fbank": False, "window_type": "rectangular", "remove_dc_offset": False,
         "preemphasis_coefficient": 0.0, "high_freq": 7600.0},
    ),
    "kaldi_not_rounded": ("speech", {"round_to_power_of_two": False, "num_mel_bins": 40, "frame_shift": 12.5}),
    "kaldi_short_frames": (
        "random",
        {"frame_length": 7.3, "frame_shift": 9.9, "snip_edges": False, "sample_frequency": 22050.0,
         "num_mel_bins": 10},
    ),
}

WHISPER = {
    "whisper_80": ("speech", 80, [*range(24), 1500, 2999]),
    "whisper_128": ("random", 128, [*range(28), 2999]),
    "whisper_80_tone": ("tone", 80, [*range(28), 2999]),
    "whisper_80_cut": ("long", 80, [0, *range(30, 3000, 150), 2998, 2999]),
    "whisper_128_cut": ("long", 128, [0, *range(80, 3000, 250), 2998, 2999]),
}

cases = []


def write(name, kind, signal, config, values, **more):
    values.astype(np.float32).tofile(HERE / f"features_{name}.f32")
    cases.append({"name": name, "kind": kind, "signal": signal, "config": config} | more)


for name, (signal, changed) in MFCC.items():
    given = {"n_mfcc": 40, "log_mels": False, "norm": "ortho"} | changed
    mel = {"n_fft": 400, "n_mels": 128, "f_min": 0.0, "f_max": None, "center": True, "norm": None,
           "mel_scale": "htk"} | given.pop("mel", {})
    mel = {"win_length": mel["n_fft"]} | mel
    mel = {"hop_length": mel["win_length"] // 2} | mel
    values = torchaudio.transforms.MFCC(sample_rate=16000, melkwargs=mel, **given).double()(
        torch.from_numpy(SIGNALS[signal]).double()
    )
    write(name, "mfcc", signal, given | {"mel": mel}, values.T.numpy())

for name, (signal, changed) in KALDI.items():
    given = {"scale": 1.0, "sample_frequency": 16000.0, "frame_length": 25.0, "frame_shift": 10.0,
             "snip_edges": True, "remove_dc_offset": True, "preemphasis_coefficient": 0.97, "window_type": "povey",
             "round_to_power_of_two": True, "num_mel_bins": 23, "low_freq": 20.0, "high_freq": 0.0,
             "use_power": True, "use_log_fbank": True, "use_energy": False, "raw_energy": True, "energy_floor": 1.0,
             "htk_compat": False} | changed
    wave = given["scale"] * torch.from_numpy(SIGNALS[signal]).double().unsqueeze(0)
    values = torchaudio.compliance.kaldi.fbank(wave, **{key: x for key, x in given.items() if key != "scale"})
    write(name, "kaldi", signal, given, values.numpy())

for name, (signal, feature_size, rows) in WHISPER.items():
    extractor = transformers.WhisperFeatureExtractor(feature_size=feature_size)
    made = extractor(SIGNALS[signal], sampling_rate=16000, return_tensors="np", return_attention_mask=True)
    values, frames = made.input_features[0].T, int(made.attention_mask.sum())
    write(name, "whisper", signal, {"feature_size": feature_size}, values[rows], rows=rows, frames=frames)

document = {
    "torch": torch.__version__, "torchaudio": torchaudio.__version__, "transformers": transformers.__version__,
    "cases": cases,
}
(HERE / "features.json").write_text(json.dumps(document) + "\n")
