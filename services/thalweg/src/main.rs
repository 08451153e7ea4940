//! The operator's command.
#![forbid(unsafe_code)]

/// Many small, short-lived buffers on several threads: mimalloc halves the time of a training step on `flex`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    thalweg::cli::main()
}
