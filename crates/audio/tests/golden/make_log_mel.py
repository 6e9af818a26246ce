"""Writes log_mel.json and log_mel_*.f32: torchaudio's mel spectrograms of a fixed signal.

Made with torch 2.15.0 and torchaudio 2.11.0 in double precision; log_mel.json stores the versions.
Where torchaudio refuses a torch built for another CUDA version, which this does not use, set
torch.version.cuda = None before importing it.
Run from anywhere: python make_log_mel.py
"""

import json
import pathlib

import numpy as np
import torch
import torchaudio

HERE = pathlib.Path(__file__).parent
RATE = 16000
CASES = {
    "default": {},
    "slaney": {"mel_scale": "slaney", "norm": "slaney", "n_mels": 40},
    "htk_slaney_norm": {"norm": "slaney", "n_mels": 40, "f_min": 80.0, "f_max": 7600.0},
    "not_centred": {"center": False},
    "constant_padding": {"pad_mode": "constant", "n_mels": 32},
    "odd_sizes": {"n_fft": 501, "win_length": 333, "hop_length": 127, "n_mels": 23},
    "short_window": {"n_fft": 1024, "win_length": 251, "hop_length": 200},
    "magnitude_db": {"power": 1.0, "log": "db", "n_mels": 32, "hop_length": 320},
    "power_db": {"power": 2.0, "log": "db", "n_mels": 32, "hop_length": 320},
    "energies": {"log": "none", "n_mels": 32, "hop_length": 320},
    "other_power": {"power": 1.5, "log": "none", "n_mels": 32, "hop_length": 320},
    "full_band": {"n_fft": 400, "win_length": 400, "n_mels": 20, "f_max": 4000.0},
}

time = np.arange(3001) / RATE
random = np.random.default_rng(0)
signal = 0.05 * random.standard_normal(len(time))
for harmonic in range(1, 20):
    signal += 0.3 / harmonic * np.sin(2 * np.pi * harmonic * (140 * time + 300 * time**2))
signal = (0.5 * signal).astype(np.float32)
signal.tofile(HERE / "log_mel_signal.f32")

cases = []
for name, changed in CASES.items():
    given = {
        "n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 64, "f_min": 0.0,
        "f_max": None, "mel_scale": "htk", "norm": None, "power": 2.0, "log": "natural",
        "center": True, "pad_mode": "reflect",
    } | changed
    mel = torchaudio.transforms.MelSpectrogram(
        sample_rate=RATE,
        **{key: value for key, value in given.items() if key not in ("log", "hop_length")},
        hop_length=given["hop_length"],
    ).double()(torch.from_numpy(signal).double())
    if given["log"] == "natural":
        mel = torch.log(mel + 1e-6)
    elif given["log"] == "db":
        stype = "power" if given["power"] == 2.0 else "magnitude"
        mel = torchaudio.transforms.AmplitudeToDB(stype)(mel)
    values = mel.T.contiguous().numpy().astype(np.float32)
    values.tofile(HERE / f"log_mel_{name}.f32")
    cases.append({"name": name, "frames": values.shape[0]} | given)

document = {"torch": torch.__version__, "torchaudio": torchaudio.__version__, "cases": cases}
(HERE / "log_mel.json").write_text(json.dumps(document, indent=1) + "\n")
