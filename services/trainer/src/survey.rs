//! What lies on `checkpoints` before the place where a trainer begins to read, which it may have to delete one day; and
//! what it would go on from.

use model::Model;
use runtime::Context;
use runtime::kafka::{Next, Positions, Record};
use schemas::VersionId;
use versions::{Log, Walk};

use crate::config::Config;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::restore::Restorer;

/// Records of one read, at most 1 MB each.
const BATCH: usize = 16;

/// Looks at every version before this offset; `None` when asked to drain meanwhile.
pub(crate) async fn before(start: i64, config: Config, ctx: Context) -> Result<Option<Ledger>, Error> {
    let mut log = Log::open_whole_named(&config.log(), &config.kafka, &ctx).await?;
    let end = Positions::from([(0, Next(start))]);
    let mut restorer = Restorer::new(Model::empty("flex")?, log.walk()).only_looking();
    while let Some(batch) = log.reader.replay(&end, BATCH).await? {
        let records: Vec<_> = batch.records.into_iter().filter(|record| record.offset < start).collect();
        restorer = ctx.spawn_background("survey", move || restorer.take(&records)).join().await?;
        restorer.refusals(); // told by who reads for good; nobody else asks
    }
    Ok(log.reader.is_at(&end).then(|| restorer.into_parts().1))
}

/// The version that a trainer goes on from after these records of `checkpoints`, whoever wrote them.
///
/// # Errors
/// When the processor does not open.
pub fn restored(records: &[Record]) -> Result<Option<VersionId>, model::Error> {
    let restorer = Restorer::new(Model::empty("flex")?, Walk::default()).take(records).settle();
    Ok(restorer.into_parts().0.version())
}
