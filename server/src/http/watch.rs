//! Watch: server-sent events that say a pull is worth while (`docs/protocol.md` section 8).

use super::App;
use super::request::{Caller, query};
use crate::metrics::Watching;
use crate::refusal::Refusal;
use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::message::WatchEvent;
use rowtide::protocol::problem::ProblemCode;
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;

const HEARTBEAT: Duration = Duration::from_secs(25);

#[derive(Deserialize)]
struct WatchQuery {
    after_bundle_seq: Option<i64>,
}

pub(super) async fn watch(
    State(app): State<App>,
    uri: Uri,
    caller: Caller,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let service = app.service.clone();
    drop(service.enter()?);
    let asked: WatchQuery = query(&uri, ProblemCode::InvalidRequest)?;
    let after = BundleSeq(asked.after_bundle_seq.unwrap_or(0));
    // Subscribed before the look at what is there, so nothing falls between.
    let call = service.call(caller);
    let events = service.shared.watchers.subscribe(&call.scope);
    let latest = service
        .shared
        .store
        .latest(&call)
        .await
        .map_err(|error| service.refuse(error, ProblemCode::BundleChangeWatchFailed))?;
    let first = WatchEvent { bundle_seq: latest, source_id: None, source_bundle_id: None };
    let running = service.running();
    let state = (Some(first), events, running, after, Watching::new());
    let stream =
        stream::unfold(state, |(mut first, mut events, mut running, mut seen, watching)| async move {
            loop {
                let event = match first.take() {
                    Some(event) => Some(event),
                    None => {
                        tokio::select! {
                            biased;
                            changed = events.changed() => changed.ok()?,
                            _ = running.wait_for(|running| !running) => return None,
                        }
                        events.borrow_and_update().clone()
                    }
                };
                if let Some(event) = event.filter(|event| event.bundle_seq > seen) {
                    seen = event.bundle_seq;
                    let data = serde_json::to_string(&event).ok()?;
                    return Some((
                        Ok(Event::default().event("bundle").data(data)),
                        (None, events, running, seen, watching),
                    ));
                }
            }
        });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}
