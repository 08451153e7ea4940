//! GET, and nothing else, for `/readyz` and `/metrics`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An admin port answers in milliseconds; a service that is stopped does not.
const PATIENCE: Duration = Duration::from_secs(5);

/// Status and body of a page.
pub(crate) async fn get(addr: SocketAddr, path: &str) -> Result<(u16, String), String> {
    match timeout(PATIENCE, ask(addr, path)).await {
        Ok(Ok(answer)) => read(&answer).ok_or_else(|| format!("no HTTP: {answer}")),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("{path} does not answer")),
    }
}

async fn ask(addr: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {addr}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

fn read(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        assert_eq!(read("HTTP/1.0 503 No\r\na: b\r\n\r\n{}"), Some((503, "{}".to_owned())));
        assert_eq!(read("nonsense"), None);
    }
}
