//! The file that comes out: the trainer's `config.toml` with what was found in place of its defaults.

use std::io::Write;
use std::path::Path;

use model::Settings;

use super::change::{Change, changes, spell};
use crate::error::Error;

/// Says before the search whether the file may be written after it.
///
/// # Errors
/// When it is there and may not be replaced, or when its folder is not.
pub(crate) fn check(path: &Path, force: bool) -> Result<(), Error> {
    if path.exists() && !force {
        return Err(taken(path));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() || path.is_dir() {
        let path = path.display();
        return Err(Error::Other(format!("{path} cannot be written: give --output a file in a folder that is there")));
    }
    Ok(())
}

/// Writes the settings under a heading, and loads them as the trainer will.
///
/// # Errors
/// When the file cannot be written, is there and may not be replaced, or does not load.
pub(crate) fn write(path: &Path, force: bool, settings: &Settings, heading: &str) -> Result<(), Error> {
    let text = text(settings, heading)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => taken(path),
        _ => Error::file(path)(error),
    })?;
    file.write_all(text.as_bytes()).map_err(Error::file(path))?;
    let config: trainer::Config = runtime::config::load(trainer::DEFAULTS, Some(path), &[], false)?;
    if config.model == *settings {
        Ok(())
    } else {
        Err(Error::Other(format!("{}: what was written is not what was found; do not use it", path.display())))
    }
}

fn taken(path: &Path) -> Error {
    Error::Other(format!("{} is there already: add --force to replace it, or name another --output", path.display()))
}

/// The trainer's embedded file, comments and all, with the values that differ replaced in place and marked. Each key of
/// `[model]` has a line of its own there, which a test of the trainer's holds.
fn text(settings: &Settings, heading: &str) -> Result<String, Error> {
    let changes = changes(&Settings::default(), settings)?;
    let mut text: String = heading.lines().map(|line| format!("# {line}\n")).chain(["\n".to_owned()]).collect();
    let mut section = "";
    for line in trainer::DEFAULTS.lines() {
        if line.starts_with('[') {
            section = line;
        }
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        match changes.iter().find(|change| section == "[model]" && change.key == key) {
            Some(Change { after, before, .. }) => {
                text += &format!("{key} = {} # the default is {}\n", spell(after), spell(before));
            }
            None => text += &format!("{line}\n"),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuned() -> Settings {
        Settings {
            row_learning_rate: 0.123,
            dense_learning_rate: 3.21e-4,
            temperature: 0.0456,
            replay: 3.0,
            history: 24,
            popularity_half_lives_s: [61.5, 700.0, 8_000.0, 90_000.0],
            ..Settings::default()
        }
    }

    #[test]
    fn the_written_file_loads_as_the_trainer_loads_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("tuned.toml");
        write(&path, false, &tuned(), "Found.\nIn two lines.").expect("writes");
        // What the trainer does with `--config FILE --check-config`.
        let config: trainer::Config = runtime::config::load(trainer::DEFAULTS, Some(&path), &[], false).expect("loads");
        assert_eq!(config.model, tuned());
    }

    #[test]
    fn only_values_that_differ_are_replaced_and_every_comment_stays() {
        let text = text(&tuned(), "Found.\nIn two lines.").expect("is written");
        let written: Vec<&str> = text.lines().collect();
        assert_eq!(written[..3], ["# Found.", "# In two lines.", ""]);
        let mut replaced = Vec::new();
        assert_eq!(written.len() - 3, trainer::DEFAULTS.lines().count());
        for (line, default) in written[3..].iter().zip(trainer::DEFAULTS.lines()) {
            if *line != default {
                replaced.push(*line);
            }
        }
        let expected = [
            "history = 24 # the default is 16",
            "replay = 3.0 # the default is 1.0",
            "temperature = 0.0456 # the default is 0.12",
            "row_learning_rate = 0.123 # the default is 0.2",
            "dense_learning_rate = 0.000321 # the default is 0.001",
            "popularity_half_lives_s = [61.5, 700.0, 8000.0, 90000.0] # the default is [300.0, 3600.0, 43200.0, 1209600.0]",
        ];
        assert_eq!(replaced, expected);
    }

    #[test]
    fn a_file_that_is_there_stays_unless_forced() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("tuned.toml");
        assert!(check(&path, false).is_ok());
        std::fs::write(&path, "precious").expect("writes");
        for error in [check(&path, false), write(&path, false, &tuned(), "")] {
            assert!(error.expect_err("refused").to_string().contains("--force"));
        }
        assert_eq!(std::fs::read_to_string(&path).expect("reads"), "precious");
        assert!(check(&path, true).is_ok() && write(&path, true, &tuned(), "").is_ok());
        let error = check(&folder.path().join("missing/tuned.toml"), true).expect_err("no folder").to_string();
        assert!(error.contains("--output"), "{error}");
    }
}
