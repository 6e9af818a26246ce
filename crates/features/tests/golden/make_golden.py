"""Writes the feature files that the reader is held against, and reads the one that the writer made.

Made with numpy 2.4.6 and safetensors 0.8.0. Value i of an array in row-major order is i - 3.5 for floats, i - 3 for
signed integers and i for unsigned ones.
Run from anywhere: python make_golden.py
"""

import pathlib

import numpy as np
from numpy.lib import format as npy
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

HERE = pathlib.Path(__file__).parent
SHAPES = [(5,), (4, 3), (2, 4, 3)]
OFFSETS = {"f": 3.5, "i": 3, "u": 0}


def array(dtype, shape):
    dtype = np.dtype(dtype)
    return (np.arange(np.prod(shape)) - OFFSETS[dtype.kind]).reshape(shape).astype(dtype)


for dtype in ["<f2", "<f4", "<f8", "<i2", ">f4", "|u1"]:
    for shape in SHAPES:
        for order in "CF":
            if order == "F" and (len(shape) == 1 or dtype == "|u1"):
                continue
            values = np.asarray(array(dtype, shape), order=order)
            name = dtype.replace("<", "").replace("|", "").replace(">", "big_")
            np.save(HERE / f"{name}_{len(shape)}d_{order.lower()}.npy", values)
for version in [(2, 0), (3, 0)]:
    with open(HERE / f"version{version[0]}.npy", "wb") as file:
        npy.write_array(file, array("<f4", (4, 3)), version=version)
for name, values in {"scalar": np.float32(1), "four_axes": np.zeros((1, 2, 1, 2), "<f4"), "complex": np.zeros(2, "<c8"),
                     "text": np.array(["a"]), "record": np.zeros(2, [("a", "<f4"), ("b", "<i4")]),
                     "no_frames": np.zeros((0, 3), "<f4"), "nan": np.array([[0, 1], [np.nan, 2]], "<f4")}.items():
    np.save(HERE / f"bad_{name}.npy", values)

save_file({f"{dtype}_{len(shape)}d": array(f"<{dtype}", shape) for dtype in ["f2", "f4", "f8", "i2"] for shape in SHAPES},
          HERE / "numpy.safetensors", metadata={"made_by": "numpy"})

# written_*.safetensors come from the Rust writer, whose test compares them byte for byte.
for precision, dtype in [("f16", np.float16), ("f32", np.float32)]:
    path = HERE / f"written_{precision}.safetensors"
    tensors = load_file(path)
    assert sorted(tensors) == ["d/a.wav", "d/b.wav", "d/ü \"c\".wav"], sorted(tensors)
    for key, shape in zip(sorted(tensors), SHAPES):
        assert tensors[key].dtype == dtype, tensors[key].dtype
        np.testing.assert_array_equal(tensors[key], array("<f4", shape).astype(dtype))
    with safe_open(path, "np") as file:
        assert file.metadata() == {"node": "hubert", "precision": precision}, file.metadata()
print(sum(path.stat().st_size for path in HERE.glob("*.[ns][pa]*")), "bytes")
