//! The one place that learns: tests, trains and publishes checkpoints.
#![forbid(unsafe_code)]

/// Many small, short-lived buffers on several threads: mimalloc halves the time of a training step on `flex`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    runtime::App::new("trainer", trainer::DEFAULTS).run(trainer::run)
}
