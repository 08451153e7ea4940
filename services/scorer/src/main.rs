//! Swaps checkpoints and keeps Redis full of fresh slates.
fn main() -> std::process::ExitCode {
    runtime::App::new("scorer", scorer::DEFAULTS).run(scorer::run)
}
