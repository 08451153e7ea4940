//! Turns raw clickstream events into validated interactions.
#![forbid(unsafe_code)]

/// Records come and go by the thousand on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    runtime::App::new("ingest", ingest::DEFAULTS).run(ingest::run)
}
