//! `protocol-http`: the shape of every request.

use crate::ledger::Findings;
use rowtide::protocol::ids::BundleSeq;
use rowtide::protocol::profile::WireGeneration;
use rowtide::{LoopOptions, Method, Request, SyncTable};
use rowtide_server::Limits;
use rowtide_tests::{Device, Endpoint, Fault, NOTES, Notes, TestServer, VirtualClock};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::sync::OnceCell;

/// Requests of a device that does everything, in one list.
async fn requests() -> Vec<(Endpoint, Request)> {
    let limits =
        Limits { default_rows_per_chunk: 1, max_rows_per_chunk: 1, bytes_per_pull: 1, ..Limits::default() };
    let server = TestServer::with_limits(WireGeneration::B, &Notes::TABLES, limits);
    let a = Device::notes(&server, "ada").await;
    a.exec("INSERT INTO notes (id) VALUES ('n1'), ('n2')").await;
    a.attach().await;
    // A hash that is not the expected one makes the client fetch the committed rows, and find them wanting.
    let forged = || Fault::Forge("\"bundle_hash\":\"".into(), "\"bundle_hash\":\"0".into());
    server.fail_next(Endpoint::PushCommit, forged());
    server.fail(Endpoint::CommittedRows, 0, 9, forged());
    assert!(a.client().sync().await.is_err());
    server.heal();
    let b = Device::notes(&server, "ada").await;
    b.attach().await;
    for title in ["x", "y", "z"] {
        b.exec(&format!("UPDATE notes SET title = '{title}'")).await;
        b.sync().await;
    }
    let c = Device::notes(&server, "ada").await;
    c.attach().await;
    b.exec("UPDATE notes SET title = 'p'").await;
    b.sync().await;
    b.exec("UPDATE notes SET title = 'q'").await;
    b.sync().await;
    c.sync().await;
    server.service().set_retained_floor("ada", BundleSeq(2)).await.unwrap();
    server.fail_next(
        Endpoint::PushCreate,
        Fault::Answer(409, "{\"error\":\"source_sequence_out_of_order\",\"message\":\"\"}".into()),
    );
    c.exec("UPDATE notes SET title = 'r'").await;
    c.sync().await;
    let clock = VirtualClock::default();
    let d = Device::new(&server, "ada", NOTES, move |config| {
        let config = config.clock(clock.clone());
        config.table(SyncTable::new("notes").key("id")).table(SyncTable::new("tags").key("id"))
    })
    .await;
    d.attach().await;
    d.client().start(LoopOptions::default());
    let mut changes = d.client().observe_status();
    while !changes.next().await.unwrap().automatic.watching {}
    server.take_exchanges().into_iter().map(|exchange| (exchange.endpoint, exchange.request)).collect()
}

fn members(value: &Value) -> BTreeSet<String> {
    value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

/// The requests are made once for all cases.
static REQUESTS: OnceCell<Vec<(Endpoint, Request)>> = OnceCell::const_new();

pub(crate) async fn shape(_: &str, case: &Value) -> Findings {
    let mut findings = Findings::default();
    let endpoint = match case["operation"].as_str().unwrap() {
        "capabilities" => Endpoint::Capabilities,
        "connect" => Endpoint::Connect,
        "pull" => Endpoint::Pull,
        "pushSessionCreate" => Endpoint::PushCreate,
        "pushSessionChunk" => Endpoint::PushChunk,
        "pushSessionCommit" => Endpoint::PushCommit,
        "committedRows" => Endpoint::CommittedRows,
        "snapshotSession" | "sourceReplacement" => Endpoint::SnapshotCreate,
        "snapshotChunk" => Endpoint::SnapshotChunk,
        "watch" => Endpoint::Watch,
        other => panic!("unknown operation {other}"),
    };
    let requests = REQUESTS.get_or_init(requests).await;
    let of_endpoint = requests.iter().filter(|(found, _)| *found == endpoint);
    let found = of_endpoint.map(|(_, request)| request).any(|request| matches(request, &case["expected"]));
    findings.demand("sent", found);
    findings
}

fn matches(request: &Request, expected: &Value) -> bool {
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    };
    let (path, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
    let names: BTreeSet<String> =
        query.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name.to_owned()).collect();
    let segments = |path: &str| path.split("/sync/").nth(1).unwrap().split('/').count();
    let body: Value = request.body.as_deref().map_or(Value::Null, |body| serde_json::from_str(body).unwrap());
    let forbidden = expected["bodyMustNotContain"].as_array().cloned().unwrap_or_default();
    let row_members = |body: &Value| body["rows"].get(0).map(members).unwrap_or_default();
    method == expected["method"]
        && segments(path) == segments(expected["path"].as_str().unwrap())
        && names == members(&expected["query"])
        && request.headers.iter().any(|(name, value)| *name == "oversync-source-id" && !value.is_empty())
        && body.is_null() == expected["body"].is_null()
        && members(&body) == members(&expected["body"])
        && row_members(&body) == row_members(&expected["body"])
        && members(&body["source_replacement"]) == members(&expected["body"]["source_replacement"])
        && forbidden.iter().all(|name| !members(&body).contains(name.as_str().unwrap()))
}
