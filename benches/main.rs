//! `bench`: measures, says how far it is, and ends with one table.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "measures")]

use std::path::PathBuf;
use std::process::ExitCode;

use benches::{Benchmark, Error, Report, Size, output};
use clap::Parser;

/// As in the `thalweg` command: what is measured is what runs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser, Debug)]
#[command(name = "bench", version, about = "Measures Thalweg beside the limits of what it stands on")]
#[command(after_help = "KAFKA_BROKERS and REDIS_URL name servers that already run; \
    without them the broker is the embedded one and Redis a server of the benchmark's own.")]
struct Cli {
    /// Which benchmarks; all when none is named.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Less than a minute in all: shows that everything runs; the figures mean little.
    #[arg(long)]
    quick: bool,
    /// Write the figures as JSON here, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// List the benchmarks.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    if cli.list {
        benches::ALL.iter().for_each(|one| output::line(format!("{:<12} {}", one.name, one.about)));
        return Ok(());
    }
    let chosen = chosen(&cli.names)?;
    let mut report = Report::begin(cli.quick);
    output::note(&report.machine);
    for benchmark in chosen {
        output::note(format!("{}: {}", benchmark.name, benchmark.about));
        report.section = benchmark.name;
        (benchmark.run)(Size { quick: cli.quick }, &mut report)?;
    }
    report.end();
    output::line(report.table());
    if let Some(path) = &cli.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?).map_err(Error::file(path))?;
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Benchmark>, Error> {
    let known = || benches::ALL.iter().map(|one| one.name).collect::<Vec<_>>().join(", ");
    let find = |name: &String| {
        let found = benches::ALL.iter().find(|one| one.name == name);
        found.ok_or_else(|| Error::Other(format!("there is no benchmark `{name}`; there are {}", known())))
    };
    if names.is_empty() { Ok(benches::ALL.iter().collect()) } else { names.iter().map(find).collect() }
}
