#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| qcn_fuzz_targets::check("key_file", bytes));
