//! How fast entries are written and read.

fn main() {}
