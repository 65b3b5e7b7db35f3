//! The `qcn` command line.
fn main() {}
