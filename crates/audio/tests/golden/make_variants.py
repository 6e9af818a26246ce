"""Writes a file of every kind that the decoder reads, and what other programs make of them.

Made with soundfile 0.14.0 (libsndfile 1.2.2), scipy 1.17 and ffmpeg 5.1. Each file is in `variants/`; `variants.json` says
who read it and how many frames and channels it has, `variants.f32` holds the samples of all in their order, frame by frame.
libsndfile reads nearly all. It takes samples of three bytes in frames of four for samples without a gap, and scipy does
not; ffmpeg reads MPEG-4, whose coders' delay and padding libsndfile would leave in.
Run from anywhere: python make_variants.py
"""

import io
import json
import pathlib
import struct
import subprocess
import tempfile

import numpy as np
import scipy.io.wavfile
import soundfile

HERE = pathlib.Path(__file__).parent
OUT = HERE / "variants"
RATE = 16000
FEW, SOME, MANY = 60, 1500, 3200


def chirp(frames, channels):
    t = np.arange(frames) / RATE
    wave = 0.4 * np.sin(2 * np.pi * (200 * t + 4000 * t * t)) + 0.1 * np.sin(2 * np.pi * 130 * t)
    return np.stack([np.roll(wave, 37 * c) * (1 - 0.2 * c) for c in range(channels)], 1)


def by_libsndfile(name, frames, channels, container, subtype, endian=None):
    soundfile.write(OUT / name, chirp(frames, channels), RATE, format=container, subtype=subtype, endian=endian)


def wav(name, form, data, chunks=()):
    body = b"WAVE"
    for tag, content in [(b"fmt ", form), *chunks, (b"data", data)]:
        body += tag + struct.pack("<I", len(content)) + content + b"\0" * (len(content) & 1)
    (OUT / name).write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def plain(tag, channels, align, bits):
    return struct.pack("<HHIIHH", tag, channels, RATE, RATE * align, align, bits)


def extensible(channels, align, bits, valid, tag=1):
    guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
    return plain(0xFFFE, channels, align, bits) + struct.pack("<HHI", 22, valid, (1 << channels) - 1) + guid


def samples_of(bits, container, channels):
    """Whole numbers of so many bits at the upper end of so many bytes."""
    whole = np.round(chirp(FEW, channels) * (1 << (bits - 1))).astype(np.int64) << (8 * container - bits)
    if container == 1:
        whole += 128
    return b"".join(int(x).to_bytes(container, "little", signed=container > 1) for x in whole.ravel())


def ffmpeg(source, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "source.wav"
        soundfile.write(path, source, RATE, subtype="FLOAT")
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(path), "-fflags", "+bitexact", *arguments], check=True)


def read(path):
    """Who reads a file, and what comes out."""
    if path.suffix in (".m4a", ".aac", ".oga"):
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "f32le", "-"]
        data = subprocess.run(command, check=True, capture_output=True).stdout
        channels = 2 if "stereo" in path.name else 1
        data = np.frombuffer(data, "<f4").reshape(-1, channels)
        # This ffmpeg leaves in what an edit list cuts off at the end.
        return "ffmpeg", data[:MANY] if path.suffix == ".m4a" else data
    if path.name.startswith("wide_"):
        _, data = scipy.io.wavfile.read(path)
        whole = np.atleast_2d(data.T).T.astype(np.float64)
        return "scipy", whole / 2.0 ** (8 * data.dtype.itemsize - 1)
    return "libsndfile", soundfile.read(path, dtype="float64", always_2d=True)[0]


def write_all():
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"):
        name = subtype.lower()
        by_libsndfile(f"wav_{name}.wav", FEW, 1, "WAV", subtype)
        by_libsndfile(f"wavex_{name}_three.wav", FEW, 3, "WAVEX", subtype)
        by_libsndfile(f"rf64_{name}_stereo.wav", FEW, 2, "RF64", subtype)
    by_libsndfile("rifx_16_stereo.wav", FEW, 2, "WAV", "PCM_16", "BIG")
    by_libsndfile("rifx_24.wav", FEW, 1, "WAV", "PCM_24", "BIG")
    by_libsndfile("rifx_float.wav", FEW, 1, "WAV", "FLOAT", "BIG")
    for channels, name in ((1, "mono"), (2, "stereo")):
        by_libsndfile(f"ima_{name}.wav", SOME, channels, "WAV", "IMA_ADPCM")
        by_libsndfile(f"ms_{name}.wav", SOME, channels, "WAV", "MS_ADPCM")
    # Samples of fewer bits than their container, as the extensible format says it and as the plain one can.
    for valid, container in ((24, 4), (20, 4), (12, 4), (8, 4), (20, 3), (16, 3), (12, 3), (12, 2), (8, 2), (10, 2), (7, 1)):
        for channels in (1, 2):
            data = samples_of(valid, container, channels)
            align = container * channels
            wav(f"valid_{valid}_in_{8 * container}_{channels}.wav", extensible(channels, align, 8 * container, valid), data)
            if valid <= 8 < 8 * container:
                continue  # Eight bits alone are unsigned, and nobody says what they are in more.
            if (valid + 7) // 8 < container:
                wav(f"wide_{valid}_in_{8 * container}_{channels}.wav", plain(1, channels, align, valid), data)
            else:
                wav(f"plain_{valid}_in_{8 * container}_{channels}.wav", plain(1, channels, align, valid), data)
    for subtype in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "PCM_U8"):
        by_libsndfile(f"aiff_{subtype.lower()}_stereo.aiff", FEW, 2, "AIFF", subtype)
    by_libsndfile("aifc_little_16.aif", FEW, 1, "AIFF", "PCM_16", "LITTLE")
    by_libsndfile("aifc_little_24.aif", FEW, 1, "AIFF", "PCM_24", "LITTLE")
    for subtype in ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"):
        by_libsndfile(f"caf_{subtype.lower()}_stereo.caf", FEW, 2, "CAF", subtype)
    by_libsndfile("caf_little_24.caf", FEW, 1, "CAF", "PCM_24", "LITTLE")
    for channels, name in ((1, "mono"), (2, "stereo")):
        wave = chirp(MANY, channels)
        by_libsndfile(f"mp3_{name}.mp3", MANY, channels, "MP3", "MPEG_LAYER_III")
        by_libsndfile(f"vorbis_{name}.ogg", MANY, channels, "OGG", "VORBIS")
        ffmpeg(wave, "-c:a", "aac", "-b:a", "64k", str(OUT / f"aac_{name}.m4a"))
        ffmpeg(wave, "-c:a", "alac", str(OUT / f"alac_{name}.m4a"))
    ffmpeg(chirp(MANY, 1), "-c:a", "aac", "-b:a", "64k", str(OUT / "adts_mono.aac"))
    ffmpeg(chirp(MANY, 1), "-c:a", "flac", str(OUT / "flac_mono.oga"))
    ffmpeg(chirp(MANY, 1), "-c:a", "libmp3lame", "-b:a", "48k", "-write_xing", "0", str(OUT / "mp3_without_tag.mp3"))


write_all()
listed, samples = [], []
for path in sorted(OUT.iterdir()):
    reader, data = read(path)
    listed.append({"name": path.name, "by": reader, "frames": len(data), "channels": data.shape[1]})
    samples.append(data.astype("<f4").ravel())
(HERE / "variants.json").write_text("[\n" + ",\n".join(json.dumps(one) for one in listed) + "\n]\n")
np.concatenate(samples).tofile(HERE / "variants.f32")
