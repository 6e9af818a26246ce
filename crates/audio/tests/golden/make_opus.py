"""Writes Ogg Opus files of every mode of the codec, and the samples that libopus gives for them.

Made with PyAV 18.1.0 (ffmpeg's libopus encoder) and soundfile 0.14.0 (libsndfile 1.2.2 and its libopus, which writes one of
the files and decodes all). Each file is in `opus/`; `opus.json` says how many frames and channels it has, `opus.f32` holds
the samples of all in their order, frame by frame. A file's first packet tells the mode, which is checked.
Run from anywhere: python make_opus.py
"""

import fractions
import json
import pathlib
import struct

import av
import numpy as np
import soundfile

HERE = pathlib.Path(__file__).parent
OUT = HERE / "opus"
RATE = 48000
FRAMES = 7001
MODES = {"silk": range(0, 12), "hybrid": range(12, 16), "celt": range(16, 32)}


def voice(channels):
    """Pulses through resonances, with a hiss: what a speech coder takes for speech."""
    t = np.arange(FRAMES) / RATE
    phase = np.cumsum(120 + 60 * t) / RATE
    pulses = np.exp(-60 * (phase % 1))
    wave = sum(np.convolve(pulses, np.exp(-300 * t[:2000]) * np.sin(2 * np.pi * f * t[:2000]))[:FRAMES] for f in (500, 1500, 2700))
    wave += 2 * np.random.default_rng(0).standard_normal(FRAMES)
    wave *= 0.3 / np.abs(wave).max()
    return np.stack([np.roll(wave, 31 * c) * (1 - 0.3 * c) for c in range(channels)], 1).astype("f4")


def by_ffmpeg(name, channels, bit_rate, application, frame_duration="20"):
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    with av.open(str(OUT / name), "w", format="ogg") as container:
        container.metadata.clear()
        stream = container.add_stream("libopus", rate=RATE, layout=layout)
        stream.bit_rate = bit_rate
        stream.options = {"application": application, "frame_duration": frame_duration}
        frame = av.AudioFrame.from_ndarray(voice(channels).reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, fractions.Fraction(1, RATE)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def pages(data):
    at = 0
    while at < len(data):
        lacing = data[at + 27 : at + 27 + data[at + 26]]
        end = at + 27 + len(lacing) + sum(lacing)
        yield data[at:end], lacing
        at = end


def checksum(page):
    crc = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return page[:22] + struct.pack("<I", crc) + page[26:]


def with_gain(name, source, decibels):
    """A file whose header asks for another level."""
    content = b""
    for number, (page, lacing) in enumerate(pages((OUT / source).read_bytes())):
        if number == 0:
            at = 27 + len(lacing) + 16
            page = checksum(page[:at] + struct.pack("<h", round(decibels * 256)) + page[at + 2 :])
        content += page
    (OUT / name).write_bytes(content)


def mode(path):
    *_, (page, lacing) = list(pages(path.read_bytes()))[:3]
    config = page[27 + len(lacing)] >> 3
    return next(name for name, configs in MODES.items() if config in configs)


OUT.mkdir(exist_ok=True)
for old in OUT.iterdir():
    old.unlink()
by_ffmpeg("silk_mono.opus", 1, 12000, "voip")
by_ffmpeg("silk_60_ms_stereo.opus", 2, 11000, "voip", "60")
by_ffmpeg("hybrid_mono.opus", 1, 24000, "voip")
by_ffmpeg("celt_stereo.opus", 2, 96000, "audio")
by_ffmpeg("celt_5_ms_mono.opus", 1, 64000, "lowdelay", "5")
soundfile.write(OUT / "celt_libsndfile.opus", voice(1), RATE, format="OGG", subtype="OPUS")
with_gain("celt_gain_stereo.opus", "celt_stereo.opus", -6.5)
by_ffmpeg("../opus_surround.opus", 6, 96000, "audio", "60")
listed, samples = [], []
for path in sorted(OUT.iterdir()):
    assert path.name.startswith(mode(path)), (path.name, mode(path))
    data, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert (rate, len(data)) == (RATE, FRAMES), (path.name, rate, len(data))
    listed.append({"name": path.name, "frames": len(data), "channels": data.shape[1]})
    samples.append(data.astype("<f4").ravel())
(HERE / "opus.json").write_text("[\n" + ",\n".join(json.dumps(one) for one in listed) + "\n]\n")
np.concatenate(samples).tofile(HERE / "opus.f32")
