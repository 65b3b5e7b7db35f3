//! One shard: consensus, mempool, ledger, checkpoints and state sync behind one input and one output door.
