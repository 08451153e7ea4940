//! `thalweg keys`: makes a key to sign with, and shows the public key that others trust.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use laboratory::output;
use schemas::signature::{PublicKey, SigningKey};
use serde_json::json;
use versions::signing;

use crate::error::Error;

#[derive(Subcommand, Debug)]
pub(crate) enum What {
    /// Writes a new secret key to a file that only you can read, and prints its public key.
    #[command(after_help = "Example: thalweg keys new trainer.key")]
    New {
        /// The file to write; it must not be there yet.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the public key of a secret one, as `kafka.trust` names it.
    #[command(after_help = "Example: thalweg keys show trainer.key")]
    Show {
        /// The file of the secret key; - reads it from the standard input.
        file: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A key has one line.
const MOST_BYTES: u64 = 4_096;

pub(crate) fn run(what: &What) -> Result<(), Error> {
    match what {
        What::New { file, json } => {
            let key = new(file)?;
            shown(&key, *json)?;
            output::note(format!("{} holds the secret key: keep it where only its service reads it", file.display()));
            Ok(())
        }
        What::Show { file, json } => {
            let key = if file == "-" { read_input()? } else { signing::read_key(file).map_err(Error::Other)?.public() };
            shown(&key, *json)
        }
    }
}

/// Writes a key of its own to `file`. Killed meanwhile, it leaves a file that holds no key; delete it.
fn new(file: &Path) -> Result<PublicKey, Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Error::Other(format!("no randomness to make a key of: {error}")))?;
    let key = SigningKey::from_seed(&seed);
    let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut open = open.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::Other(format!("{} is there already, and no key is overwritten; name another file", file.display()))
        }
        _ => Error::file(file)(error),
    })?;
    open.write_all(format!("{}\n", key.secret()).as_bytes()).and_then(|()| open.sync_all()).map_err(|error| {
        // A file without a key would be in the way of the next try.
        drop(std::fs::remove_file(file));
        Error::file(file)(error)
    })?;
    Ok(key.public())
}

fn read_input() -> Result<PublicKey, Error> {
    let mut text = String::new();
    let read = std::io::stdin().take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(|error| Error::Other(format!("the standard input cannot be read: {error}")))?;
    let key = SigningKey::read(&text).map_err(|problem| Error::Other(format!("the standard input holds {problem}")))?;
    Ok(key.public())
}

fn shown(key: &PublicKey, json: bool) -> Result<(), Error> {
    if json {
        return Ok(output::json(&json!({"public": key.to_string(), "id": key.id()}))?);
    }
    output::line(key.to_string());
    output::note(format!("its id in signatures is {}", key.id()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_key_is_for_its_owner_alone_and_never_written_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("key");
        let public = new(&file).expect("is made");
        let mode = std::fs::metadata(&file).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(new(&file).is_err(), "it is there already");
        assert_eq!(signing::read_key(&file.to_string_lossy()).expect("is a key").public(), public);
        assert_ne!(new(&folder.path().join("other")).expect("is made"), public);
    }
}
