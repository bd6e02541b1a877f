//! A first download that shows its rows in slices.

use crate::{BOTH, converge, two_devices};
use rowtide::protocol::profile::WireGeneration;
use rowtide::{ErrorKind, Hydrate, Operation, Outcome, Phase, SyncTable};
use rowtide_tests::{Device, Endpoint, Fault, NOTES, TestServer};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

/// More than two slices; notes refer to ones before them and far behind them, and two to each other.
const MANY: &str = "
    INSERT INTO notes (id, title)
        WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 4499)
        SELECT printf('n%04d', i), 'note ' || i FROM n;
    UPDATE notes SET parent = printf('n%04d', substr(id, 2) - 5) WHERE id LIKE '%5';
    UPDATE notes SET parent = printf('n%04d', substr(id, 2) + 3000) WHERE id LIKE '%7' AND id < 'n1000';
    UPDATE notes SET parent = 'n4499' WHERE id = 'n4498';
    UPDATE notes SET parent = 'n4498' WHERE id = 'n4499';
    INSERT INTO tags (name, note_id) SELECT 'tag of ' || id, id FROM notes WHERE id LIKE '%0';";

/// A device whose download shows slices, and stops where the first one was written until it is released.
async fn held_device(server: &TestServer, user: &str) -> (Device, Receiver<()>, Sender<()>) {
    let (arrived, arrival) = channel();
    let (release, released) = channel();
    let gate = Mutex::new(Some((arrived, released)));
    let listener = std::sync::Arc::new(move |progress: rowtide::Progress| {
        if progress.phase == Phase::Apply
            && progress.rows > 0
            && let Some((arrived, released)) = gate.lock().unwrap().take()
        {
            arrived.send(()).unwrap();
            released.recv().unwrap();
        }
    });
    let device = Device::new(server, user, NOTES, move |config| {
        let listener = listener.clone();
        config
            .hydrate(Hydrate::Progressive)
            .progress(move |progress| listener(progress))
            .table(SyncTable::new("notes").key("id"))
            .table(SyncTable::new("tags").key("id"))
    })
    .await;
    (device, arrival, release)
}

/// A device whose progressive download was cancelled after the first slice.
async fn interrupted(generation: WireGeneration) -> (TestServer, Device, Device) {
    let (server, a, _b) = two_devices(generation, MANY).await;
    let (c, arrival, release) = held_device(&server, "ada").await;
    c.exec("INSERT INTO notes (id, title) VALUES ('mine', 'written before'), ('n4400', 'in the way')").await;
    let attach = c.client().begin(Operation::Attach { user: "ada".into() });
    arrival.recv().unwrap();
    attach.cancel();
    release.send(()).unwrap();
    assert_eq!(attach.wait().await.unwrap_err().kind(), ErrorKind::Cancelled);
    (server, a, c)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slices_are_visible_and_can_be_changed_before_the_download_has_ended() {
    for generation in BOTH {
        let (server, a, mut c) = interrupted(generation).await;
        let visible: i64 =
            c.text("SELECT count(*) FROM notes WHERE title LIKE 'note %'").await.parse().unwrap();
        assert_eq!(visible, 450, "a slice, without the rows whose parent comes later");
        assert_eq!(c.client().status().await.unwrap().user, None);
        assert_eq!(c.pending().await, 2, "what the server sent is no local change");

        c.exec("UPDATE notes SET title = 'changed early' WHERE id = 'n0499'").await;
        c.exec("DELETE FROM notes WHERE id = 'n0494'").await;
        server.take_exchanges();
        c.reopen().await;
        let report = c.attach().await;
        assert_eq!((report.outcome, report.hydrated_rows), (Outcome::Attached, 4_950));
        assert_eq!(report.conflicts, 1, "only the row that was in the way met the server's");
        let asked = server.take_exchanges();
        assert!(asked.iter().all(|exchange| exchange.endpoint != Endpoint::SnapshotChunk));

        converge(&a, &c).await;
        assert_eq!(c.pending().await, 0);
        for (key, title) in [("n0499", "changed early"), ("mine", "written before"), ("n4400", "note 4400")] {
            assert_eq!(a.text(&format!("SELECT title FROM notes WHERE id = '{key}'")).await, title);
        }
        assert_eq!(a.text("SELECT count(*) FROM notes WHERE id IN ('n0494', 'n4498', 'n4499')").await, "2");
        assert_eq!(a.dump().await, c.dump().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_user_takes_back_what_became_visible_unless_rows_would_be_lost() {
    for generation in BOTH {
        let (server, _a, c) = interrupted(generation).await;
        let error = c.client().attach("bob").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
        assert!(error.to_string().contains("rows of another user"), "{error}");
        c.exec("DELETE FROM notes WHERE id IN ('mine', 'n4400')").await;
        server.fail(Endpoint::Connect, 0, 9, Fault::DropRequest);
        c.client().attach("bob").await.unwrap_err();
        assert_eq!(c.text("SELECT count(*) FROM notes").await, "0");
        assert_eq!(c.pending().await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_triggers_of_the_app_comes_with_the_last_slice_and_its_trigger_counts_once() {
    let (server, a, _b) = two_devices(BOTH[1], MANY).await;
    let schema = format!(
        "{NOTES} CREATE TABLE counts (n INTEGER); INSERT INTO counts VALUES (0);
         CREATE TRIGGER count_notes AFTER INSERT ON notes BEGIN UPDATE counts SET n = n + 1; END;"
    );
    let c = Device::new(&server, "ada", &schema, |config| {
        config
            .hydrate(Hydrate::Progressive)
            .table(SyncTable::new("notes").key("id"))
            .table(SyncTable::new("tags").key("id"))
    })
    .await;
    c.attach().await;
    assert_eq!(c.dump().await, a.dump().await);
    assert_eq!((c.text("SELECT n FROM counts").await.as_str(), c.pending().await), ("4500", 0));
}
