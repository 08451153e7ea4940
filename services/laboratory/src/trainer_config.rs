//! The trainer's configuration, handed in by the command: what evaluates and tunes knows the model and no service.

use std::path::Path;

use model::Settings;

/// How the learner's settings are read, and the text that tuning writes them into.
#[derive(Debug, Clone, Copy)]
pub struct TrainerConfig {
    /// The trainer's embedded defaults, comments and all.
    pub defaults: &'static str,
    /// Reads the section `[model]` as the trainer does.
    pub load: Load,
}

/// Lays a file, the environment (if told so) and overrides (`section.key`, value) over the defaults. An error is every
/// problem, a line each.
pub type Load = fn(file: Option<&Path>, overrides: &[(&str, String)], env: bool) -> Result<Settings, Vec<String>>;
