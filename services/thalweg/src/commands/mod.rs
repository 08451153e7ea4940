//! One file per command.

pub(crate) mod checkpoints;
pub(crate) mod dead_letters;
pub(crate) mod evaluate;
pub(crate) mod recs;
pub(crate) mod replay;
pub(crate) mod topics;

use schemas::Timestamp;

use crate::error::Error;
use crate::log::{Log, Options, Role, YEAR_2000};
use crate::output;

/// Opens a recorded log with a bar, and tells what was left out.
pub(crate) fn open_log(path: &std::path::Path, args: &crate::cli::LogArgs) -> Result<Log, Error> {
    let columns = args
        .columns
        .clone()
        .ok_or_else(|| Error::Other("say which column is what: --columns user=…,item=…[,time=…]".to_owned()))?;
    let has_times = columns.get(Role::Time).is_some();
    let options = Options { columns, default_type: args.default_type, limit: args.limit };
    let bar = output::bar(1_000, "reading");
    let log = Log::open(path, &options, |progress| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 1,000
        bar.set_position((progress.share * 1_000.0) as u64);
    });
    bar.finish_and_clear();
    let log = log?;
    for (reason, count) in &log.skipped {
        output::note(format!("{count} of {} rows left out: {reason}", log.rows));
    }
    for (reason, count) in &log.unread {
        output::note(format!("{count} of {} rows kept without their price: {reason}", log.rows));
    }
    if let (true, Some((first, last))) = (has_times, log.span()) {
        output::note(format!("{} events from {} to {}", log.len(), Timestamp(first), Timestamp(last)));
        if first < YEAR_2000 {
            output::note(
                "warning: a shop's events are younger than the year 2000: is that the right column for time=…?",
            );
        }
    }
    Ok(log)
}
