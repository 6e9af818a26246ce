"""Writes prints.txt: acoustic fingerprints by numpy, of the tones that the tests of src/acoustic_fingerprint.rs make.

Written from Haitsma & Kalker (ISMIR 2002) with this crate's sizes of frames. Needs numpy 2; run it in this folder.
"""

import numpy as np

RATE, WINDOW, HOP, LAG, BANDS, LOW, HIGH = 8000, 2048, 192, 5, 33, 300.0, 3000.0


def wandering(seed):
    state, numbers = seed, []
    for _ in range(36):
        state = (state * 1664525 + 1013904223) % 2**32
        numbers.append((state >> 8) / 2**24)
    time = np.arange(12000) / RATE
    sound = np.zeros(len(time))
    for a, b, c in np.reshape(numbers, (12, 3)):
        loud = 1 + np.sin(2 * np.pi * (1 + 4 * b) * time + 7 * c)
        sound += loud * np.sin(2 * np.pi * (200 + 2800 * a) * time + 40 * b * np.sin(3 * time + c))
    return (0.02 * sound).astype(np.float32).astype(float)


def fingerprint(samples):
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    edges = LOW * (HIGH / LOW) ** (np.arange(BANDS + 1) / BANDS)
    hertz = np.fft.rfftfreq(WINDOW, 1 / RATE)
    bands = np.stack([power[:, (hertz >= a) & (hertz < b)].sum(1) for a, b in zip(edges, edges[1:])], axis=1)
    total = bands.sum(1)
    step = -np.diff(np.log(bands + 1e-9 * total.max() + 1e-30), axis=1)
    bits = step[LAG:] > step[:-LAG]
    numbers = np.maximum((bits * 2 ** np.arange(BANDS - 1, dtype=np.uint64)).sum(1), 1)
    loud = np.minimum(total[LAG:], total[:-LAG]) > 1e-4 * total.max()
    return np.where(loud, numbers, 0)


with open("prints.txt", "w") as file:
    for seed in (1, 2, 3):
        file.write("".join(f"{int(number):08x}" for number in fingerprint(wandering(seed))) + "\n")
