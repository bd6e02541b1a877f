#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rowtide_fuzz::annotated_sql::check(data));
