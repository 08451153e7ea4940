//! The open port: accepts connections, and can cut them all without interrupting a request.
//!
//! A request that was read is carried out whole, as by a real broker whose network fails: to close the port the sockets
//! are shut down, and the tasks behind them run to their end.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::{Id, JoinSet};
use tracing::warn;

use crate::routes::{Engine, answer};

/// A longer request is none. Clients send 1 MiB at most unless told otherwise; Kafka takes 100.
const LONGEST: u32 = 32 << 20;

/// An open port.
pub(crate) struct Listening {
    close: oneshot::Sender<()>,
    closed: mpsc::Receiver<()>,
}

impl Listening {
    /// Serves `listener`, a non-blocking one, on the threads of `runtime`.
    pub(crate) fn start(runtime: &Runtime, listener: StdListener, engine: Arc<Engine>) -> io::Result<Self> {
        let (close, asked) = oneshot::channel();
        let (done, closed) = mpsc::sync_channel(1);
        let _guard = runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        runtime.spawn(async move {
            accept(listener, engine, asked).await;
            // Nobody waits when the broker was dropped: nothing to tell then.
            let _ = done.send(());
        });
        Ok(Self { close, closed })
    }

    /// Closes the port and every connection; returns when they are closed.
    pub(crate) fn stop(self) {
        // Either side is gone only if the task ended already, and then everything is closed.
        let _ = self.close.send(());
        let _ = self.closed.recv();
    }
}

/// Accepts until asked to close. Bounded by the connections of this process and its children.
async fn accept(listener: TcpListener, engine: Arc<Engine>, mut asked: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    let mut lines: HashMap<Id, StdStream> = HashMap::new();
    loop {
        tokio::select! {
            _ = &mut asked => break,
            Some(ended) = connections.join_next_with_id(), if !connections.is_empty() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(panicked) => panicked.id(),
                };
                lines.remove(&id);
            }
            accepted = listener.accept() => {
                // A client that is gone again, or no file descriptor left: the client tries again.
                let Ok((stream, line)) = accepted.and_then(|(stream, _)| duplicate(stream)) else {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    continue;
                };
                let task = connections.spawn(serve(engine.clone(), stream));
                lines.insert(task.id(), line);
            }
        }
    }
    drop(listener);
    for line in lines.values() {
        // Fails when the client closed first.
        let _ = line.shutdown(Shutdown::Both);
    }
    connections.detach_all();
}

/// A second handle on the same socket, to shut it down while a request is being carried out.
fn duplicate(stream: TcpStream) -> io::Result<(TcpStream, StdStream)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let line = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, line))
}

/// Answers one client, one request after another, until it leaves or sends what is no request.
async fn serve(engine: Arc<Engine>, mut stream: TcpStream) {
    let Ok(client) = stream.peer_addr() else { return };
    let host = client.ip().to_string();
    // An error of the socket is the client's leaving: there is nobody to tell.
    while let Ok(length) = stream.read_u32().await {
        if length > LONGEST {
            warn!(%client, length, "closed a connection: what came is no request of Kafka's protocol, it is too long");
            return;
        }
        let Ok(frame) = read(&mut stream, length).await else { return };
        match answer(&engine, &host, frame).await {
            Ok(None) => {}
            Ok(Some(answer)) => {
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                warn!(%client, %error, "closed a connection");
                return;
            }
        }
    }
}

/// Memory grows with what comes, not with what was announced.
async fn read(stream: &mut TcpStream, length: u32) -> io::Result<Bytes> {
    let mut frame = Vec::new();
    stream.take(length.into()).read_to_end(&mut frame).await?;
    if frame.len() as u64 == u64::from(length) { Ok(frame.into()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
