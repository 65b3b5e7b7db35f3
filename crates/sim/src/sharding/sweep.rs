//! Throughput and latency against the number of shards and the share that crosses them.
