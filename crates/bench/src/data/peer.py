"""The peer of `emorun bench data`: soundfile, soxr and audiomentations over the same files.

Answers `go` with `done` after one pass over the files, and `parts` with the seconds of each part of a pass."""
import json
import random
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context

warnings.filterwarnings("ignore")
import audiomentations
import numpy as np
import soundfile
import soxr

with open(sys.argv[1]) as file:
    setup = json.load(file)
how = sys.argv[2]
rate = setup["rate_hz"]


class Crop:
    """audiomentations has no crop of random length."""

    def __init__(self, shortest, longest):
        self.range = shortest, longest

    def __call__(self, samples, sample_rate):
        length = round(random.uniform(*self.range) * sample_rate)
        start = random.randint(0, max(0, len(samples) - length))
        return samples[start : start + length]


def transform(step):
    p = step["p"]
    match step["kind"]:
        case "background_noise":
            low, high = step["snr_db"]
            return audiomentations.AddBackgroundNoise(step["root"], min_snr_db=low, max_snr_db=high, p=p)
        case "gain":
            low, high = step["gain_db"]
            return audiomentations.Gain(min_gain_db=low, max_gain_db=high, p=p)
        case "pitch_shift":
            low, high = step["semitones"]
            return audiomentations.PitchShift(low, high, method="signalsmith_stretch", p=p)
        case "time_stretch":
            low, high = step["rate"]
            return audiomentations.TimeStretch(
                low, high, leave_length_unchanged=False, method="signalsmith_stretch", p=p
            )
        case "gaussian_noise":
            low, high = step["level"]["amplitude"]
            return audiomentations.AddGaussianNoise(low, high, p=p)
        case "random_crop":
            return Crop(*step["seconds"])


own = threading.local()


def chain():
    """A thread's own, because transforms keep what they have drawn."""
    if not hasattr(own, "chain"):
        own.chain = [(step["kind"], transform(step)) for step in setup["chain"]]
    return own.chain


def decode(path):
    samples, own_rate = soundfile.read(path, dtype="float32")
    return samples if samples.ndim == 1 else samples.mean(1), own_rate


def resample(samples, own_rate):
    return samples if own_rate == rate else soxr.resample(samples, own_rate, rate, quality="HQ")


def heard(path):
    samples = resample(*decode(path))
    for _, change in chain():
        samples = change(samples, sample_rate=rate)
    return len(samples)


def begin():
    chain()
    random.seed()
    np.random.seed()


def parts():
    seconds = {}

    def timed(name, work, *arguments, **named):
        start = time.perf_counter()
        result = work(*arguments, **named)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
        return result

    for path in setup["files"]:
        samples = timed("resample", resample, *timed("decode", decode, path))
        for name, change in chain():
            samples = timed(name, change, samples, sample_rate=rate)
    return seconds


if how == "processes":
    pool = get_context("fork").Pool(setup["threads"], begin)
    run = lambda: pool.map(heard, setup["files"], chunksize=2)
elif setup["threads"] > 1:
    pool = ThreadPoolExecutor(setup["threads"], initializer=begin)
    run = lambda: list(pool.map(heard, setup["files"]))
else:
    run = lambda: [heard(path) for path in setup["files"]]
names = ["audiomentations", "python-stretch", "soxr", "soundfile", "numpy"]
said = ", ".join(f"{name} {version(name)}" for name in names)
print(f"ready {said}, Python {sys.version.split()[0]}; soxr quality HQ", flush=True)
for line in sys.stdin:
    if line.strip() == "parts":
        print(json.dumps(parts()), flush=True)
    else:
        run()
        print("done", flush=True)
