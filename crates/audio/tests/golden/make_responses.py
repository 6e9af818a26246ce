"""Impulse responses of pyroomacoustics (0.10.1), to be taken as such: `responses/*.wav`, two microphones each.

pip install numpy pyroomacoustics soundfile; python make_responses.py
"""

import pathlib

import numpy as np
import pyroomacoustics as pra
import soundfile as sf

RATE_HZ = 8000
LONGEST_S = 0.8
OUT = pathlib.Path(__file__).parent / "responses"

# Reverberation time in seconds, size in metres, order of the images, places of source and of both microphones as shares
# of the size; the last is a source behind the critical distance, whose reflections are louder than its direct sound.
ROOMS = [
    (0.15, (3.0, 3.5, 2.5), 12, (0.3, 0.4, 0.5), [(0.7, 0.6, 0.5), (0.31, 0.5, 0.55)]),
    (0.4, (5.0, 4.0, 3.0), 20, (0.2, 0.3, 0.6), [(0.8, 0.8, 0.4), (0.5, 0.5, 0.5)]),
    (0.8, (8.0, 6.0, 3.5), 25, (0.1, 0.5, 0.5), [(0.9, 0.4, 0.5), (0.4, 0.4, 0.5)]),
    (1.2, (11.6, 4.4, 3.6), 25, (0.15, 0.2, 0.45), [(0.85, 0.75, 0.35), (0.5, 0.9, 0.7)]),
    (2.0, (12.0, 9.0, 4.5), 25, (0.05, 0.1, 0.3), [(0.95, 0.9, 0.3), (0.93, 0.1, 0.8)]),
]

OUT.mkdir(exist_ok=True)
for number, (rt60_s, size, order, source, microphones) in enumerate(ROOMS):
    absorption, _ = pra.inverse_sabine(rt60_s, size)
    room = pra.ShoeBox(size, fs=RATE_HZ, materials=pra.Material(absorption), max_order=order, air_absorption=True)
    room.add_source(np.multiply(size, source))
    room.add_microphone_array(np.array([np.multiply(size, place) for place in microphones]).T)
    room.compute_rir()
    responses = [room.rir[at][0] for at in range(2)]
    length = min(min(map(len, responses)), int(LONGEST_S * RATE_HZ))
    samples = np.stack([response[:length] for response in responses], axis=1)
    sf.write(OUT / f"room{number}.wav", 0.9 * samples / np.abs(samples).max(), RATE_HZ, subtype="PCM_16")
