//! The one place that learns: tests, trains and publishes checkpoints.
fn main() -> std::process::ExitCode {
    runtime::App::new("trainer", trainer::DEFAULTS).run(trainer::run)
}
