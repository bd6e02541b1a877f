//! `rowtide serve` on loopback, in a process of its own, and a place that throws away what it gets.

use rowtide::{HttpTransport, Method, Request, Transport};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
    /// For the one user.
    pub(crate) token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts `rowtide serve` with a store in a folder.
    pub(crate) async fn start(rowtide: &Path, folder: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let mut child = Command::new(rowtide)
            .args(["serve", "--demo", "--wire", "a", "--table", "users:id", "--table", "posts:id", "--store"])
            .arg(format!("sqlite:{}", folder.join("server.db").display()))
            .env("ROWTIDE_JWT_SECRET", "a secret of the benchmark")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").ok_or("the server did not start")?.to_owned();
        let mut server = Self { child, url, token: String::new() };
        server.token = sign_in(&server.url).await?;
        Ok(server)
    }
}

/// Signs in where anybody can.
pub(crate) async fn sign_in(url: &str) -> Result<String, Box<dyn std::error::Error>> {
    let request = Request {
        method: Method::Post,
        url: format!("{url}/dummy-signin"),
        headers: vec![],
        body: Some(serde_json::json!({ "user": crate::transfer::USER, "password": "any" }).to_string()),
        max_response_bytes: 1 << 16,
    };
    let response = HttpTransport::new()?.send(request).await?;
    let answer: serde_json::Value = serde_json::from_slice(&response.body)?;
    Ok(answer["token"].as_str().ok_or("the server gave no token")?.to_owned())
}

/// Answers every request with an empty object, as cheaply as it can be done; its URL.
pub(crate) fn sink() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || swallow(stream));
        }
    });
    Ok(url)
}

fn swallow(stream: std::net::TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")?;
    }
}
