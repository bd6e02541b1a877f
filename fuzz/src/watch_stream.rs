//! The server's watch stream. The first byte says how the rest is cut into the parts that come over the network.

use rowtide::fuzzing::watch_events;

/// The same events come out however the bytes are cut, and none is below 1.
pub fn check(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let whole = watch_events(vec![stream.to_vec()]);
    let size = usize::from(*cut) % 64 + 1;
    let cut = watch_events(stream.chunks(size).map(<[u8]>::to_vec).collect());
    assert_eq!(whole, cut, "parts of {size} bytes tell something else");
    assert!(whole.0.iter().all(|seq| *seq >= 1));
    assert!(whole.0.len() * "data:".len() <= stream.len(), "more events than the bytes have room for");
}
