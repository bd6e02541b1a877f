#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rowtide_fuzz::hostile_server::check(data));
