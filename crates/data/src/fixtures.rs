//! Small corpora in the layout of the published ones, for tests and for `emorun smoke`.
