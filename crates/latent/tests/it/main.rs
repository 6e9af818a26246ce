//! Held against scikit-learn and umap-learn, on vectors of `tests/golden/make_golden.py`.

mod analysis;
mod golden;
