//! What must hold for any bytes that come from outside, one module a target. `check` panics where it does not.
//!
//! The fuzzer calls these, and so does `tests/corpora` with the inputs that are kept, without a fuzzer.

pub mod annotated_sql;
pub mod hostile_server;
pub mod packed_rows;
pub mod responses;
pub mod server_requests;
pub mod values;
pub mod watch_stream;

/// What a target demands of its input.
pub type Check = fn(&[u8]);

/// All targets, by the names of their corpora.
pub const TARGETS: [(&str, Check); 7] = [
    ("annotated_sql", annotated_sql::check),
    ("hostile_server", hostile_server::check),
    ("packed_rows", packed_rows::check),
    ("responses", responses::check),
    ("server_requests", server_requests::check),
    ("values", values::check),
    ("watch_stream", watch_stream::check),
];
