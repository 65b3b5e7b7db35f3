//! The rules of blocks, which stand beside their type: who verifies a block judges others by them.

pub use qcn_types::{BlockFault, check_block};

#[cfg(test)]
mod tests;
