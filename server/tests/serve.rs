//! A server on a port: what it mounts, and how it ends. Time is the test's.
#![allow(clippy::unwrap_used, missing_docs)]

use rowtide::protocol::profile::WireGeneration;
use rowtide_server::{BoundServer, JwtAuthenticator, Registration, ServeOptions, StoreLocation};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const SECRET: &[u8] = b"a secret";
const BODY: &str = "{\"has_local_pending_rows\":false}";

struct Running {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start() -> Self {
        Self::with(false).await
    }

    async fn with(demo: bool) -> Self {
        let server = BoundServer::bind(ServeOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            store: StoreLocation::Memory,
            schema: "business".into(),
            tables: vec![Registration { table: "users".into(), key_column: "id".into() }],
            demo,
            wire: Some(WireGeneration::A),
            jwt_secret: SECRET.into(),
            jwks: None,
        })
        .await
        .unwrap();
        let (end, ended) = oneshot::channel();
        let address = server.local_addr();
        let task = tokio::spawn(server.run(async {
            let _ = ended.await;
        }));
        Self { address, end, task }
    }

    /// An operation whose body has not arrived; it runs when this answers.
    async fn unfinished_operation(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let token = JwtAuthenticator::hs256(SECRET).sign("ada", 4_102_444_800).unwrap();
        let head = format!(
            "POST /sync/connect HTTP/1.1\r\nhost: s\r\nauthorization: Bearer {token}\r\noversync-source-id: s\r\n\
             content-length: {}\r\n\r\n",
            BODY.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        while !self.health().await.contains("\"inflight_operations\":1") {}
        stream
    }

    async fn health(&self) -> String {
        self.answer("GET /syncx/health").await
    }

    async fn answer(&self, operation: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("{operation} HTTP/1.1\r\nhost: s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }
}

/// What comes until the connection ends, however it ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn an_operation_that_runs_when_the_server_ends_is_finished_and_answered() {
    let server = Running::start().await;
    let mut operation = server.unfinished_operation().await;
    // A connection without a request does not keep the server.
    let _idle = TcpStream::connect(server.address).await.unwrap();
    server.end.send(()).unwrap();
    operation.write_all(BODY.as_bytes()).await.unwrap();
    let answer = rest(&mut operation).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.task.await.unwrap();
}

#[tokio::test]
async fn an_operation_that_does_not_end_is_cut_off_half_a_minute_after_the_end_of_the_server() {
    let server = Running::start().await;
    let mut operation = server.unfinished_operation().await;
    let mut half_a_request = TcpStream::connect(server.address).await.unwrap();
    half_a_request.write_all(b"GET /sync/pull HTTP/1.1\r\nhost:").await.unwrap();
    // From here on time goes by at once where nothing else happens.
    tokio::time::pause();
    let ended = Instant::now();
    server.end.send(()).unwrap();
    server.task.await.unwrap();
    assert_eq!(ended.elapsed().as_secs(), 30);
    assert_eq!(rest(&mut operation).await, "", "its connection is closed");
    assert_eq!(rest(&mut half_a_request).await, "");
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn the_endpoints_of_a_demonstration_are_not_there_without_one() {
    for demo in [false, true] {
        let server = Running::with(demo).await;
        for operation in [
            "POST /dummy-signin",
            "POST /test/reset",
            "POST /test/retention-floor",
            "GET /test/watch-subscribers?user_id=ada",
        ] {
            let answer = server.answer(operation).await;
            assert_eq!(!answer.starts_with("HTTP/1.1 404"), demo, "{operation}: {answer}");
        }
        assert!(server.answer("GET /metrics").await.starts_with("HTTP/1.1 200"));
        server.end.send(()).unwrap();
        server.task.await.unwrap();
    }
}
