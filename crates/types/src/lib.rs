//! The words of the protocol: committees, blocks, checkpoints, transactions, evidence, and their canonical bytes.
