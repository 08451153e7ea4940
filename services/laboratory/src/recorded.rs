//! A recorded log as the command line names it: how it is read, and what is told of it when it was.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "clap prints these as help, where brackets mean what may be left out"
)]

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use schemas::{EventType, Timestamp};

use crate::error::Error;
use crate::log::{Columns, Delimiter, Log, Nothing, Options, Role, TimeFormat, YEAR_2000};
use crate::output;

/// A recorded log and how to read it.
#[derive(Args, Debug, Clone)]
pub struct LogArgs {
    /// Names the columns: user=…,item=…[,time=…,session=…,type=…,value=…][,title=…,category=…,brand=…,price=…]. Without
    /// a time column, rows keep the order of the file, one second apart. With one of the last four, the log carries a
    /// catalog: an item's record holds the first value of each field in its rows. An item of a dotted category, such as
    /// electronics.audio, also belongs to every level above it.
    #[arg(long, value_name = "SPEC")]
    pub columns: Option<Columns>,
    /// Read the first line as a row: --columns then names columns by number, from 1.
    #[arg(long)]
    pub no_header: bool,
    /// The column separator, if the header does not show it: `;`, `::`, tab, space (one or several) and so on.
    #[arg(long, value_name = "TEXT")]
    pub delimiter: Option<Delimiter>,
    /// Another word for a missing value, besides NULL, \N, NaN, None, NA, undefined and the like; may be given several
    /// times. With an empty word (--null '') only the given words count.
    #[arg(long = "null", value_name = "WORD")]
    pub nulls: Vec<String>,
    /// The format of times, as for strptime, if they have no known form: '%d.%m.%Y %H:%M'.
    #[arg(long, value_name = "FORMAT")]
    pub time_format: Option<TimeFormat>,
    /// The event type of rows when no column gives it: view, cart, purchase, like, dislike or impression. Here and in a
    /// column, the words of public logs are known, too: click, pv, page_view, product_view, detail; add_to_cart,
    /// basket; buy, order, transaction, conversion; fav, favorite, favourite, wishlist; show, shown.
    #[arg(long = "type", value_name = "TYPE", default_value = "view", value_parser = crate::log::event_type)]
    pub default_type: EventType,
    /// Take only the first N events in order of time.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

impl LogArgs {
    /// How a log with these columns is read.
    fn options(&self, columns: Columns) -> Options {
        Options {
            default_type: self.default_type,
            limit: self.limit,
            no_header: self.no_header,
            delimiter: self.delimiter.clone(),
            nothing: Nothing::new(&self.nulls),
            time_format: self.time_format.clone(),
            ..Options::new(columns)
        }
    }

    /// Opens a log with a bar, and tells what was left out.
    ///
    /// # Errors
    /// When no column was named, or the log cannot be read.
    pub fn open(&self, path: &Path) -> Result<Log, Error> {
        let columns = self
            .columns
            .clone()
            .ok_or_else(|| Error::Other("say which column is what: --columns user=…,item=…[,time=…]".to_owned()))?;
        let has_times = columns.get(Role::Time).is_some();
        let options = self.options(columns);
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
            let example =
                log.unread_examples.get(reason).map(|example| format!("; such as {example}")).unwrap_or_default();
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
            if last > now().saturating_add(DAY) {
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
}

/// Milliseconds that a clock may be wrong.
const DAY: i64 = 86_400_000;

/// Milliseconds since 1970, by this machine's clock.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
