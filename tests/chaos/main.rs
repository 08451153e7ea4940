//! `chaos`: draws faults by a seed, lets them fall on real servers under traffic, and asks the oracle what they cost.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "waits for conditions and measures")]

mod campaign;
mod fault;
mod field;
mod harm;
mod output;
mod senders;
mod service_faults;
mod stranger;
mod word;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::campaign::{Limits, run};
use crate::fault::Fault;

/// How long a campaign lasts when it is told nothing.
const MINUTES: u64 = 10;

#[derive(Parser, Debug)]
#[command(
    name = "chaos",
    version,
    about = "Lets faults fall on Thalweg under traffic; ends well if nothing was lost, doubled or wrong"
)]
#[command(after_help = "It starts a Kafka (Java 17 and Maven), a Redis and the services of its own, and ends them.\n\
    Example: chaos --seed 7 --minutes 60")]
struct Cli {
    /// The same seed draws the same faults in the same order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long, in minutes [default: 10, unless --faults is given].
    #[arg(long, overrides_with = "minutes")]
    minutes: Option<u64>,
    /// End after so many faults.
    #[arg(long)]
    faults: Option<usize>,
    /// Events per second.
    #[arg(long, default_value_t = 100)]
    rate: usize,
    /// Draw only faults whose name holds this word; `--list` shows them.
    #[arg(long, value_name = "WORD")]
    only: Option<String>,
    /// Three Kafka nodes: what befalls the broker befalls one of them.
    #[arg(long)]
    cluster: bool,
    /// Everything is signed, and nobody else is believed.
    #[arg(long)]
    signed: bool,
    /// No faults: a soak, after which no service may have grown.
    #[arg(long, conflicts_with_all = ["faults", "only"])]
    calm: bool,
    /// List the faults, each with who must be red within 15 s where it falls alone.
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.list {
        Fault::ALL.iter().for_each(|fault| output::line(listed(*fault, cli.cluster)));
        return ExitCode::SUCCESS;
    }
    let minutes = cli.minutes.or(cli.faults.is_none().then_some(MINUTES));
    let limits = Limits { time: minutes.map(|minutes| Duration::from_secs(60 * minutes)), faults: cli.faults };
    let wanted = |fault: &Fault| {
        let named = cli.only.as_ref().is_none_or(|word| fault.name().contains(word));
        !cli.calm && named && (cli.signed || *fault != Fault::StrangersVersion)
    };
    let chosen: Vec<Fault> = Fault::ALL.into_iter().filter(wanted).collect();
    if chosen.is_empty() && !cli.calm {
        output::note("no fault has that name; --list shows them");
        return ExitCode::FAILURE;
    }
    let summary = run(cli.seed, limits, cli.rate, (cli.cluster, cli.signed), &chosen).await;
    output::line(&summary);
    if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A fault as `--list` shows it: its name, who must be red within 15 s, and what is done.
fn listed(fault: Fault, cluster: bool) -> String {
    let red = fault.red(cluster).map_or_else(|| "-".to_owned(), |whose| whose.to_string());
    format!("{:<29} {red:<29} {}", fault.name(), fault.about())
}
