//! One file per command.

pub(crate) mod checkpoints;
pub(crate) mod dead_letters;
pub(crate) mod evaluate;
pub(crate) mod items;
pub(crate) mod recs;
pub(crate) mod replay;
pub(crate) mod topics;

use runtime::Context;
use schemas::Timestamp;

use crate::error::Error;
use crate::log::{Log, Role, YEAR_2000};
use crate::output;

/// Opens a recorded log with a bar, and tells what was left out.
pub(crate) fn open_log(path: &std::path::Path, args: &crate::cli::LogArgs) -> Result<Log, Error> {
    let columns = args
        .columns
        .clone()
        .ok_or_else(|| Error::Other("say which column is what: --columns user=…,item=…[,time=…]".to_owned()))?;
    let has_times = columns.get(Role::Time).is_some();
    let options = args.options(columns);
    let bar = output::bar(1_000, "reading");
    let log = Log::open(path, &options, |progress| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 1,000
        bar.set_position((progress.share * 1_000.0) as u64);
    });
    bar.finish_and_clear();
    let log = log?;
    for (reason, count) in &log.skipped {
        let example = log.examples.get(reason).map(|example| format!("; such as {example}")).unwrap_or_default();
        output::note(format!("{count} of {} rows left out: {reason}{example}", log.rows));
    }
    for (reason, count) in &log.unread {
        let example = log.unread_examples.get(reason).map(|example| format!("; such as {example}")).unwrap_or_default();
        output::note(format!("{count} of {} rows kept without their price: {reason}{example}", log.rows));
    }
    log.remarks.iter().for_each(output::note);
    if let (true, Some((first, last)), Some(rows)) = (has_times, log.span(), log.ends()) {
        output::note(format!("{} events from {} to {}", log.len(), Timestamp(first), Timestamp(last)));
        if first < YEAR_2000 {
            output::note(format!(
                "warning: a shop's events are younger than the year 2000, and row {} is of {}: is that the right column for \
                 time=…, and does it count from 1970? --time-format says how times are written",
                rows.0,
                Timestamp(first)
            ));
        }
        let now = Context::new("thalweg").now();
        if last > now.saturating_add(DAY) {
            output::note(format!(
                "warning: row {} is of {}, in the future, and ingest refuses such events: is that the right column for \
                 time=…? --time-format, such as %Y%m%d%H%M%S, says how times are written",
                rows.1,
                Timestamp(last)
            ));
        }
    }
    Ok(log)
}

/// Milliseconds that a clock may be wrong.
const DAY: i64 = 86_400_000;
