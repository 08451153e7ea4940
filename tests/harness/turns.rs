//! How many worlds there are at once: each runs up to three services, and a broker or two.

use std::sync::OnceLock;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Turns for each core. A world waits most of its time: with its services it takes a quarter of a core.
const PER_CORE: usize = 2;

/// Waits until there is room for one world more, with so many Kafka nodes of its own: each takes as much as a world.
pub(crate) async fn turn(nodes: u32) -> SemaphorePermit<'static> {
    static TURNS: OnceLock<(Semaphore, u32)> = OnceLock::new();
    let (turns, all) = TURNS.get_or_init(|| {
        let turns = PER_CORE * std::thread::available_parallelism().map_or(1, usize::from);
        (Semaphore::new(turns), u32::try_from(turns).unwrap_or(u32::MAX))
    });
    turns.acquire_many((1 + nodes).min(*all)).await.expect("never closed")
}
