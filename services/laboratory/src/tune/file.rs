//! The file that comes out: the trainer's `config.toml` with what was found in place of its defaults.

use std::io::Write;
use std::path::Path;

use model::Settings;

use super::change::{Change, changes, spell};
use crate::error::Error;
use crate::trainer_config::TrainerConfig;

/// Says before the search whether the file may be written after it.
///
/// # Errors
/// When it is there and may not be replaced, or when its folder is not.
pub fn check(path: &Path, force: bool) -> Result<(), Error> {
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
pub fn write(
    path: &Path,
    force: bool,
    settings: &Settings,
    heading: &str,
    trainer: &TrainerConfig,
) -> Result<(), Error> {
    let text = text(settings, heading, trainer.defaults)?;
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => taken(path),
        _ => Error::file(path)(error),
    })?;
    file.write_all(text.as_bytes()).map_err(Error::file(path))?;
    let read = (trainer.load)(Some(path), &[], false).map_err(Error::Settings)?;
    if read == *settings {
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
fn text(settings: &Settings, heading: &str, defaults: &str) -> Result<String, Error> {
    let changes = changes(&Settings::default(), settings)?;
    let mut text: String = heading.lines().map(|line| format!("# {line}\n")).chain(["\n".to_owned()]).collect();
    let mut section = "";
    for line in defaults.lines() {
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
