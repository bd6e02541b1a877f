//! Operations that are begun, waited for and cancelled by handle.

use crate::BOTH;
use rowtide::{ErrorKind, Operation, Outcome};
use rowtide_tests::{Device, Endpoint, Notes, TestServer};
use std::sync::mpsc;

/// A device with one pending row, and a server that stops at an endpoint until it is told to go on.
async fn held_at(endpoint: Endpoint) -> (TestServer, Device, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let server = TestServer::new(BOTH[1], &Notes::TABLES);
    let device = Device::notes(&server, "ada").await;
    device.attach().await;
    device.exec("INSERT INTO notes (id) VALUES ('n1')").await;
    let ((reached, arrival), (release, go)) = (mpsc::channel(), mpsc::channel());
    server.before(endpoint, move || {
        reached.send(()).unwrap();
        go.recv().unwrap();
    });
    (server, device, arrival, release)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cancelled_push_ends_and_the_next_sync_goes_on_from_there() {
    for endpoint in [Endpoint::PushCreate, Endpoint::PushChunk, Endpoint::PushCommit] {
        let (_server, device, arrival, release) = held_at(endpoint).await;
        let push = device.client().begin(Operation::Push);
        arrival.recv().unwrap();
        push.cancel();
        release.send(()).unwrap();
        match push.wait().await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled),
            // Nothing was left to stop once the server had answered the commit.
            Ok(report) => assert_eq!((endpoint, report.pushed_rows), (Endpoint::PushCommit, 1)),
        }
        device.sync().await;
        assert_eq!(device.pending().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shared_sync_goes_on_for_the_caller_that_stays_and_ends_with_the_last_one() {
    let (_server, device, arrival, release) = held_at(Endpoint::PushCreate).await;
    let running = device.client().begin(Operation::Push);
    arrival.recv().unwrap();
    // Both wait for their turn behind the push, and share a run.
    let (leaves, stays) = (device.client().begin(Operation::Sync), device.client().begin(Operation::Sync));
    leaves.cancel();
    leaves.cancel();
    assert_eq!(leaves.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    release.send(()).unwrap();
    assert_eq!(running.wait().await.unwrap().pushed_rows, 1);
    assert_eq!(stays.wait().await.unwrap().outcome, Outcome::NoChange);
    assert_eq!(stays.wait().await.unwrap().outcome, Outcome::NoChange, "an end can be asked for twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_operation_cancelled_before_its_turn_never_begins() {
    let (server, device, arrival, release) = held_at(Endpoint::PushCreate).await;
    let running = device.client().begin(Operation::Push);
    arrival.recv().unwrap();
    server.take_exchanges();
    let rebuild = device.client().begin(Operation::Rebuild);
    rebuild.cancel();
    assert_eq!(rebuild.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    release.send(()).unwrap();
    running.wait().await.unwrap();
    assert!(server.take_exchanges().iter().all(|exchange| exchange.endpoint != Endpoint::SnapshotCreate));
}
