//! Turns raw clickstream events into validated interactions.
fn main() -> std::process::ExitCode {
    runtime::App::new("ingest", ingest::DEFAULTS).run(ingest::run)
}
