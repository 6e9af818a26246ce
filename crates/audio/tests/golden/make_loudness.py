"""Writes loudness.json: integrated loudness by pyloudnorm of signals that tests/golden.rs makes as well.

Made with Python 3.11, pyloudnorm 0.2.0, numpy 2.4.6, scipy 1.17.1:
    python make_loudness.py > loudness.json
"""

import json
import math

import numpy as np
import pyloudnorm

SECONDS = 6


def signal(kind: str, rate: int) -> np.ndarray:
    """Tones, noise and speech-like bursts; the noise is Knuth's linear congruential generator."""
    n = SECONDS * rate
    t = np.arange(n) / rate
    if kind == "tone":
        return 0.1 * np.sin(2 * math.pi * 440 * t)
    if kind == "low":
        return 0.3 * np.sin(2 * math.pi * 60 * t)
    if kind == "bright":
        return 0.05 * np.sin(2 * math.pi * 3000 * t)
    state, noise = 1, np.empty(n)
    for i in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        noise[i] = (state >> 40) / 2**23 - 1
    if kind == "noise":
        return 0.1 * noise
    # Bursts of half a second between pauses that the gates leave out.
    return np.where(np.floor(t * 2) % 3 == 0, 0.2, 0.002) * noise


cases = []
for rate in (48_000, 44_100, 22_050, 16_000):
    meter = pyloudnorm.Meter(rate, filter_class="DeMan")
    for kind in ("tone", "low", "bright", "noise", "bursts"):
        cases.append({"kind": kind, "rate_hz": rate, "lufs": round(meter.integrated_loudness(signal(kind, rate)), 4)})
print(json.dumps(cases))
