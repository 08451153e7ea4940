//! A free port for a server that goes away and comes back to it.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the kernel gives to outgoing connections: while its server is away, such a port could go to a
/// client, even to the one that looks for the server and then finds itself.
const FIRST: u32 = 20_000;
/// Every other port: a Kafka node's controller takes the one behind the node's own, some time after it was given out.
const COUNT: u32 = 5_000;

/// Listens on a port of the loopback interface that nobody listens on at the moment.
pub(crate) fn listen() -> io::Result<TcpListener> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Processes that start together begin at different places.
    let place = process::id().wrapping_mul(7_919);
    let mut last = io::Error::from(ErrorKind::AddrInUse);
    for _ in 0..COUNT {
        let port = FIRST + 2 * (place.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap_or(0))) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => last = error,
            outcome => return outcome,
        }
    }
    Err(last)
}

/// A port that nobody listens on at the moment.
///
/// # Errors
/// The loopback interface gives none.
pub fn free_port() -> io::Result<u16> {
    Ok(listen()?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_below_those_of_outgoing_connections_and_leave_the_next_one_to_a_controller() {
        let held: Vec<TcpListener> = (0..50).map(|_| listen().expect("listens")).collect();
        let mut ports: Vec<u16> = held.iter().map(|held| held.local_addr().expect("bound").port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| (20_000..30_000).contains(port) && port % 2 == 0), "{ports:?}");
    }
}
