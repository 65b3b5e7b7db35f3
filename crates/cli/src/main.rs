//! The `qcn` program: all of it is in the library beside it, where the fuzz targets reach it.

use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    qcn_cli::main()
}
