"""Times dynamic time warping of tslearn (compiled by numba) and dtaidistance (C), on the sequences of warp.rs.

pip install tslearn dtaidistance
python crates/metrics/examples/warp.py
"""
import time

import numpy as np
from dtaidistance import dtw_ndim
from tslearn.metrics import dtw

FRAMES, WIDTH = 750, 25


def rows(seed):
    at = np.arange(FRAMES * WIDTH)
    values = ((at * 7919 + seed * 104729) % 1009).astype(np.float32) / np.float32(1009)
    return ((values + (at // WIDTH).astype(np.float32) * np.float32(0.013) % np.float32(1)) / 2).reshape(FRAMES, WIDTH)


a, b = rows(1), rows(2)
for width in [1, 2, 8, 15, 25]:
    x, y = np.ascontiguousarray(a[:, :width], np.float64), np.ascontiguousarray(b[:, :width], np.float64)
    for name, of in [("tslearn", lambda: dtw(x, y)), ("dtaidistance", lambda: dtw_ndim.distance_fast(x, y))]:
        of()
        start, times = time.process_time(), 20
        for _ in range(times):
            distance = of()
        print(f"{name}: {width} wide: {(time.process_time() - start) * 1000 / times:.3f} ms, {distance:.6f}")
