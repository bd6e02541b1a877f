//! A server of the project's own, and a user's token.

use rowtide::{HttpTransport, Method, Request, Transport};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(wire: &str) -> Self {
        let mut process = Command::new(rowtide_tests::binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--store", "memory", "--demo", "--table", "notes:id"])
            .args(["--wire", wire])
            .env("ROWTIDE_JWT_SECRET", "a secret of the tests")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, url }
    }

    pub(crate) async fn token(&self, user: &str) -> String {
        let request = Request {
            method: Method::Post,
            url: format!("{}/dummy-signin", self.url),
            headers: Vec::new(),
            body: Some(json!({"user": user, "password": "p"}).to_string()),
            max_response_bytes: 1 << 16,
        };
        let response = HttpTransport::new().unwrap().send(request).await.unwrap();
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        body["token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
