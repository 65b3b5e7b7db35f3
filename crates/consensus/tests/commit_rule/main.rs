//! The commit rule against a naive one, and against its promises, over random DAGs.
//!
//! `PROPTEST_CASES=200000 cargo test -p qcn-consensus --test commit_rule --release` looks longer.

mod differential;
mod drawing;
mod generate;
mod oracle;
mod production;
mod safety;
mod table;
