"""Writes the WAV and FLAC files that the decoder is held against, by libsndfile.

Made with soundfile 0.14.0 (libsndfile 1.2.2). Frame i of channel c holds the 16-bit number
(7919 i + 12345 c) mod 65536 - 32768, at the depth of the file.
Run from anywhere: python make_files.py
"""

import pathlib

import numpy as np
import soundfile

HERE = pathlib.Path(__file__).parent
FRAMES = 400

def samples(channels):
    i = np.arange(FRAMES)[:, None] * 7919 + np.arange(channels)[None, :] * 12345
    return (i % 65536 - 32768).astype(np.int16)

FILES = [
    ("unsigned8.wav", 1, 16000, "WAV", "PCM_U8"),
    ("signed16.wav", 1, 16000, "WAV", "PCM_16"),
    ("signed16_stereo.wav", 2, 16000, "WAV", "PCM_16"),
    ("signed24.wav", 1, 16000, "WAV", "PCM_24"),
    ("signed32.wav", 1, 16000, "WAV", "PCM_32"),
    ("float32.wav", 1, 16000, "WAV", "FLOAT"),
    ("extensible16.wav", 3, 16000, "WAVEX", "PCM_16"),
    ("extensible24.wav", 1, 16000, "WAVEX", "PCM_24"),
    ("extensible_float.wav", 1, 16000, "WAVEX", "FLOAT"),
    ("signed8.flac", 1, 16000, "FLAC", "PCM_S8"),
    ("signed16.flac", 1, 16000, "FLAC", "PCM_16"),
    ("signed24_stereo.flac", 2, 16000, "FLAC", "PCM_24"),
]
for name, channels, rate, container, encoding in FILES:
    data = samples(channels)
    if encoding == "FLOAT":  # soundfile does not scale integers that are written as floats.
        data = (data / 32768).astype(np.float32)
    soundfile.write(HERE / name, data, rate, format=container, subtype=encoding)
