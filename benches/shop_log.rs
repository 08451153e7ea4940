//! `shop-log`: writes what happens in the synthetic shop as a recorded log, for `thalweg evaluate` and for whoever
//! wants to replay it.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use benches::{Error, output};
use clap::Parser;
use laboratory::shop::{Action, Shop, ShopSettings};

/// When the shop opens: some moment, always the same, milliseconds since 1970.
const OPENING: i64 = 1_760_000_000_000;

#[derive(Parser, Debug)]
#[command(name = "shop-log", version, about = "Writes the events of the synthetic shop as JSON lines")]
#[command(after_help = "Example: shop-log shop.jsonl --hours 24 && thalweg evaluate prequential shop.jsonl \
    --columns user=user_id,item=item_id,time=ts,type=type,session=session_id")]
struct Cli {
    /// Where to.
    file: PathBuf,
    /// The same seed writes the same events.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Hours by the shop's clock.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=168))]
    hours: u32,
    /// Events a second, by the same clock.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
}

fn main() -> ExitCode {
    match write(&Cli::parse()) {
        Ok(events) => {
            output::note(format!("{events} events"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::note(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn write(cli: &Cli) -> Result<i64, Error> {
    let mut shop = Shop::new(ShopSettings::default(), cli.seed, OPENING);
    let mut file = BufWriter::new(File::create(&cli.file).map_err(Error::file(&cli.file))?);
    let events = i64::from(cli.hours) * 3_600 * i64::from(cli.rate);
    for number in 0..events {
        let now = OPENING + number * 1_000 / i64::from(cli.rate);
        let event = loop {
            match shop.next(now) {
                Action::Event(event) => break event,
                Action::NewItem(_) => {} // the log has no catalog
            }
        };
        serde_json::to_writer(&mut file, &event)?;
        file.write_all(b"\n").map_err(Error::file(&cli.file))?;
    }
    file.flush().map_err(Error::file(&cli.file))?;
    Ok(events)
}
