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

/// What a trainer makes of a file with a section `[model]`, without one: the command's tests try the real one.
#[cfg(test)]
pub(crate) const STAND_IN: TrainerConfig = TrainerConfig {
    defaults: model::DEFAULTS,
    load: |file, _, _| {
        let mut settings = serde_json::to_value(Settings::default()).expect("serialises");
        let text = file.map(|file| std::fs::read_to_string(file).expect("reads")).unwrap_or_default();
        let given: toml::Table = text.parse().expect("is TOML");
        for (key, value) in given.get("model").and_then(toml::Value::as_table).into_iter().flatten() {
            settings[key] = serde_json::to_value(value).expect("serialises");
        }
        serde_json::from_value(settings).map_err(|error| vec![error.to_string()])
    },
};
