"""Makes augment.json; never run in CI. Python 3.11 (audioop), numpy 2.4.6, scipy 1.17.1, librosa 0.11.0."""

import audioop
import json
import pathlib

import librosa
import numpy as np
import scipy.signal

here = pathlib.Path(__file__).parent


def band_pass(rate_hz, low_hz, high_hz):
    impulse = np.zeros(48)
    impulse[0] = 1.0
    high = scipy.signal.butter(4, low_hz, "highpass", fs=rate_hz, output="sos")
    low = scipy.signal.butter(4, high_hz, "lowpass", fs=rate_hz, output="sos")
    response = scipy.signal.sosfilt(np.vstack([high, low]), impulse)
    _, gains = scipy.signal.sosfreqz(np.vstack([high, low]), [low_hz, high_hz], fs=rate_hz)
    assert np.allclose(np.abs(gains), np.sqrt(0.5), atol=0.02)
    return {
        "rate_hz": rate_hz,
        "low_hz": low_hz,
        "high_hz": high_hz,
        "response": [round(float(x), 9) for x in response],
    }


def mu_law():
    values = [4 * v for v in sorted({s * (2**k + d) for k in range(14) for d in (-1, 0, 3) for s in (1, -1)}) if abs(v) < 8192]
    linear = np.array(values, dtype="<i2").tobytes()
    codes = list(audioop.lin2ulaw(linear, 2))
    decoded = np.frombuffer(audioop.ulaw2lin(bytes(range(256)), 2), dtype="<i2")
    return {"values": values, "codes": codes, "decoded": [int(x) for x in decoded]}


def speech():
    """Quiet noise, a word, quiet noise; the noise by the formula of the Rust test."""
    i = np.arange(20_000)
    noise = 1e-3 * ((i * 7919 % 1009) / 504.0 - 1.0)
    word = np.where((i >= 6000) & (i < 13_000), 0.3 * np.sin(i * 0.17) * np.sin((i - 6000) * np.pi / 7000), 0.0)
    return (noise + word).astype("float32")


def trim(top_db):
    _, (start, end) = librosa.effects.trim(speech(), top_db=top_db, frame_length=512, hop_length=128)
    return {"top_db": top_db, "start": int(start), "end": int(end)}


def clipping(percent):
    low, high = np.percentile(speech().astype("float64"), [percent / 2, 100 - percent / 2])
    return {"percent": percent, "low": float(low), "high": float(high)}


golden = {
    "band_pass": [band_pass(16_000, 300, 3400), band_pass(8000, 120, 3000), band_pass(16_000, 500, 7000)],
    "mu_law": mu_law(),
    "trim": [trim(20), trim(30), trim(45)],
    "clipping": [clipping(0), clipping(10), clipping(40)],
}
(here / "augment.json").write_text(json.dumps(golden, indent=None, separators=(",", ":")) + "\n")
