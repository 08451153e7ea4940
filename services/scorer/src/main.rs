//! Swaps checkpoints and keeps Redis full of fresh slates.
#![forbid(unsafe_code)]

/// Many small, short-lived buffers on several threads: mimalloc halves the time of a training step on `flex`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    runtime::App::new("scorer", scorer::DEFAULTS).run(scorer::run)
}
