//! The uncertified-DAG consensus machine: DAG, commit rule, linearizer, proposer, block sync.
