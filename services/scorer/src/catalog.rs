//! Follows the topic `items`, and tells lists and slates what the catalog delisted.

use std::sync::{Arc, Mutex};

use metrics::{counter, gauge};
use runtime::Context;
use runtime::kafka::Reader;
use tokio::sync::{mpsc, oneshot};
use versions::catalog::Follower;
pub(crate) use versions::catalog::SharedCatalog;

use crate::error::Error;
use crate::lock;
use crate::metrics::{CATALOG, UNREADABLE};
use crate::similar_due::SimilarDue;

/// Where news of the catalog goes.
#[derive(Debug)]
pub(crate) struct News {
    /// Keys of items that were delisted after the start; who is late holds up the reading. None at all: what is not
    /// listed must not be shown from now on.
    pub(crate) delisted: mpsc::Sender<Vec<u64>>,
    /// Told once everything that was there at the start is applied.
    pub(crate) loaded: oneshot::Sender<()>,
}

/// Lists looked through for what was delisted while slates wait.
const LISTS: usize = 2_000;

/// Reads the catalog from its beginning and follows it until drained.
pub(crate) async fn follow(
    reader: Reader,
    shared: Arc<SharedCatalog>,
    known: Arc<Mutex<SimilarDue>>,
    news: News,
    ctx: Context,
) -> Result<(), Error> {
    let mut follower = Follower::new(reader, Arc::clone(&shared));
    let mut loaded = Some(news.loaded);
    while let Some(applied) = follower.next().await? {
        let (listed, delisted) = (applied.listed, applied.delisted);
        counter!(UNREADABLE, "from" => "items").increment(applied.unreadable);
        if !listed.is_empty() || !delisted.is_empty() {
            gauge!(CATALOG).set(shared.load().len() as f64);
            {
                let mut known = lock(&known);
                listed.iter().for_each(|id| known.learn(id));
                known.delist(&delisted);
            }
            let mut from = Some(0).filter(|_| !delisted.is_empty());
            while let Some(at) = from {
                from = lock(&known).delist_shown(&delisted, at, LISTS);
                tokio::task::yield_now().await;
            }
        }
        if applied.decides {
            lock(&known).forget_writings();
        }
        if loaded.is_none() && (applied.decides || !delisted.is_empty()) {
            tokio::select! {
                sent = news.delisted.send(delisted) => if sent.is_err() { break },
                () = ctx.drained() => break,
            }
        }
        if applied.is_read {
            loaded.take().map(|loaded| loaded.send(()));
        }
    }
    Ok(())
}
