//! The `qcn` program: all of it is in the library beside it, where the fuzz targets reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    qcn_cli::main()
}
