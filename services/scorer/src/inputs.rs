//! What comes to the loop beside interactions: items that were delisted, and users found in Redis who want another
//! slate.

use std::sync::Arc;

use runtime::Context;
use runtime::redis::Redis;
use schemas::Keys;
use tokio::sync::{Notify, mpsc};

use crate::config::Scorer;
use crate::slates::Slates;
use crate::sources::{Delistings, Sources};
use crate::sweep::Sweep;

/// Pages of users found in Redis that may wait for the loop.
const FOUND: usize = 4;

/// Both wait in bounded lines: whoever fills them waits, too.
#[derive(Debug)]
pub(crate) struct Inputs {
    delistings: Delistings,
    found: mpsc::Receiver<Vec<Arc<str>>>,
    /// Asks for a sweep.
    wanted: Arc<Notify>,
}

impl Inputs {
    /// Starts the sweep, which finds users in Redis, and takes delistings over from the catalog.
    pub(crate) fn start(
        delistings: Delistings,
        sources: &Arc<Sources>,
        (redis, keys): (&Redis, &Keys),
        settings: &Scorer,
        ctx: &Context,
    ) -> Self {
        let (wanted, (sender, found)) = (Arc::new(Notify::new()), mpsc::channel(FOUND));
        let sweep = Sweep {
            sources: Arc::clone(sources),
            redis: redis.clone(),
            keys: keys.clone(),
            per_second: settings.sweep_per_second,
            wanted: Arc::clone(&wanted),
            found: sender,
            ctx: ctx.clone(),
        };
        ctx.spawn("sweep", sweep.run());
        Self { delistings, found, wanted }
    }

    /// Asks for a sweep: there may be users whom nobody holds in memory and who want a slate, or another.
    pub(crate) fn sweep(&self) {
        self.wanted.notify_one();
    }

    /// Puts in line whose slates are to be made anew, without waiting.
    pub(crate) fn hand_over(&mut self, slates: &mut Slates) {
        while let Ok(keys) = self.delistings.try_recv() {
            slates.delisted(&keys);
            self.sweep();
        }
        while slates.has_room()
            && let Ok(users) = self.found.try_recv()
        {
            slates.found(users);
        }
    }
}
