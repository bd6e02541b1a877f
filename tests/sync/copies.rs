//! Two databases with one source: the number of a bundle is used twice, and neither side's rows are lost.

use crate::{BOTH, converge, two_devices};
use rowtide::SyncTable;
use rowtide_tests::{Device, Endpoint, Fault, NOTES, Notes, TestServer, open};

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_number_that_a_copy_used_for_other_rows_costs_neither_of_them_a_row() {
    for generation in BOTH {
        let (_server, mut a, b) =
            two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'old')").await;
        // The copy is made while the app is closed, as a backup is, marker and all.
        a.close().await;
        let copy = std::fs::read(a.path()).unwrap();
        a.reopen().await;
        a.exec("INSERT INTO notes (id, title) VALUES ('original', 'o'); UPDATE notes SET stars = 1 WHERE id = 'n1'").await;
        a.sync().await;
        let original = a.dump().await;
        a.close().await;
        std::fs::write(a.path(), copy).unwrap();
        a.reopen().await;
        a.exec("INSERT INTO notes (id, title) VALUES ('copy', 'c')").await;
        let source = a.client().source_info().await.unwrap().source_id;
        a.sync().await;
        assert_ne!(
            a.client().source_info().await.unwrap().source_id,
            source,
            "the copy has a source of its own"
        );
        converge(&a, &b).await;
        assert_eq!(
            b.text("SELECT group_concat(id || title) FROM (SELECT * FROM notes ORDER BY id)").await,
            "copyc,n1old,originalo"
        );
        assert_eq!(original[0].len() + 1, a.dump().await[0].len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_answer_was_lost_finds_its_own_bundle_again_and_keeps_its_source() {
    for generation in BOTH {
        let (server, mut a, b) =
            two_devices(generation, "INSERT INTO notes (id, title) VALUES ('n1', 'old')").await;
        a.exec("INSERT INTO notes (id, title, stars, weight) VALUES ('n2', 'mine', 3, 0.5)").await;
        let source = a.client().source_info().await.unwrap().source_id;
        server.fail(Endpoint::PushCommit, 0, 1, Fault::ApplyThenDropReply);
        server.fail(Endpoint::PushCreate, 1, 9, Fault::DropRequest);
        a.client().sync().await.unwrap_err();
        server.heal();
        a.reopen().await;
        assert_eq!(a.sync().await.pushed_rows, 1);
        assert_eq!(a.client().source_info().await.unwrap().source_id, source);
        converge(&a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_its_installation_marker_takes_a_source_of_its_own_and_the_original_goes_on() {
    for generation in BOTH {
        let seed = "INSERT INTO notes (id, title) VALUES ('n1', 'old'), ('n2', 'old')";
        let (server, mut original, b) = two_devices(generation, seed).await;
        original.exec("UPDATE notes SET title = 'frozen' WHERE id = 'n1'").await;
        server.fail(Endpoint::PushCommit, 0, 9, Fault::DropRequest);
        original.client().sync().await.unwrap_err();
        server.heal();
        original.close().await;
        let mut copy = Device::notes(&server, "ada").await;
        copy.close().await;
        std::fs::copy(original.path(), copy.path()).unwrap();
        original.reopen().await;
        copy.reopen().await;
        let sources =
            (original.client().source_info().await.unwrap(), copy.client().source_info().await.unwrap());
        assert_ne!(sources.0.source_id, sources.1.source_id);
        copy.exec("UPDATE notes SET title = 'copy' WHERE id = 'n2'").await;
        copy.sync().await;
        original.exec("INSERT INTO notes (id, title) VALUES ('n3', 'original')").await;
        converge(&original, &copy).await;
        converge(&original, &b).await;
        let titles = "SELECT group_concat(title) FROM (SELECT title FROM notes ORDER BY id)";
        assert_eq!(b.text(titles).await, "frozen,copy,original");
        assert_eq!(original.client().source_info().await.unwrap().source_id, sources.0.source_id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_named_by_the_host_tells_copies_apart_without_a_file() {
    let server = TestServer::new(BOTH[0], &Notes::TABLES);
    let mut a = Device::new(&server, "ada", NOTES, |config| {
        config
            .installation("phone")
            .table(SyncTable::new("notes").key("id"))
            .table(SyncTable::new("tags").key("id"))
    })
    .await;
    let source = a.client().source_info().await.unwrap().source_id;
    a.reopen().await;
    assert_eq!(a.client().source_info().await.unwrap().source_id, source);
    a.close().await;
    let config = a.config().installation("another phone");
    let copy = open(&config).await.unwrap();
    assert_ne!(copy.source_info().await.unwrap().source_id, source);
}
