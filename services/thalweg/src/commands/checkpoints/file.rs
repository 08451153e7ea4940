//! Reads the file of an exported version, and takes it for none before everything in it was looked at.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use model::{Model, Payload};
use schemas::checkpoint::{MAX_PAYLOAD_BYTES, PayloadKind};
use schemas::signature::{Distrust, Trust};
use schemas::{Manifest, VersionId};
use versions::signing;

use super::import::Stands;
use crate::error::Error;

/// An exported version that every reader of `checkpoints` would take.
pub(super) struct Exported {
    /// Where it lies.
    pub(super) file: PathBuf,
    /// Its bytes, not packed.
    pub(super) payload: Vec<u8>,
    /// The manifest that it had; `None` where the file does not say.
    pub(super) manifest: Option<Manifest>,
    /// A manifest for it, but for the name, time and offsets.
    bare: Manifest,
}

impl Exported {
    /// Its manifest as the first version of an epoch. Which version is good is not known of what is imported.
    pub(super) fn manifest(&self, epoch: u32, stands: &Stands, made_at: i64) -> Manifest {
        let Stands { through, untrained, .. } = stands;
        let exported = self.manifest.as_ref();
        Manifest {
            version: VersionId { epoch, sequence: 1 },
            through: through.clone(),
            untrained: untrained.clone(),
            items: exported.and_then(|exported| exported.items),
            // As old as it is: what is forgotten since is forgotten in it, too.
            made_at: exported.map_or(made_at, |exported| exported.made_at.min(made_at)),
            quality: exported.map(|exported| exported.quality.clone()).unwrap_or_default(),
            quality_overall: exported.map(|exported| exported.quality_overall.clone()).unwrap_or_default(),
            ..self.bare.clone()
        }
    }
}

/// Reads and checks a file.
///
/// # Errors
/// When it is not there, not signed as `trust` asks, no export, cut off, of another format, or makes no model that
/// could be served.
pub(super) fn read(file: &Path, trust: &Trust, now: i64) -> Result<Exported, Error> {
    let name = file.display();
    let too_long = || Error::Other(format!("{name} is longer than any version, {MAX_PAYLOAD_BYTES} bytes"));
    let opened = File::open(file).map_err(Error::file(file))?;
    if opened.metadata().map_err(Error::file(file))?.len() > MAX_PAYLOAD_BYTES {
        return Err(too_long());
    }
    let mut payload = Vec::new(); // what is no plain file has no length
    opened.take(MAX_PAYLOAD_BYTES + 1).read_to_end(&mut payload).map_err(Error::file(file))?;
    if payload.len() as u64 > MAX_PAYLOAD_BYTES {
        return Err(too_long());
    }
    if trust.is_on() {
        believed(file, &payload, trust)?;
    }
    let unusable = |error: model::Error| {
        let why = runtime::chain(&error);
        Error::Other(format!("{name} is no whole file of `thalweg checkpoints export`, or is damaged: {why}"))
    };
    let opened = Payload::open(&payload).map_err(unusable)?;
    let foreign = |error: model::Error| Error::Other(format!("{name} cannot be imported: {}", runtime::chain(&error)));
    let manifest = opened.exported().map_err(foreign)?;
    let bare = opened.manifest(VersionId { epoch: 1, sequence: 1 }, now);
    if bare.kind == PayloadKind::Delta {
        let advice = "export a version by `thalweg checkpoints export`";
        return Err(Error::Other(format!("{name} holds only what changed since another version: {advice}")));
    }
    let model = Model::empty("flex")?.apply(&bare, &payload).map_err(unusable)?;
    if model.knowledge().items() == 0 {
        return Err(Error::Other(format!("{name} knows no item: it would empty every list")));
    }
    Ok(Exported { file: file.to_owned(), payload, manifest, bare })
}

/// Checks a file's bytes by the signature beside it, in FILE.sig. False: none lies there, and nobody asks for one.
///
/// # Errors
/// When it is not that of a trusted key over these bytes, or is not there and asked for.
pub(super) fn believed(file: &Path, bytes: &[u8], trust: &Trust) -> Result<bool, Error> {
    let beside = signing::beside(file);
    let signature = match std::fs::read_to_string(&beside) {
        Ok(signature) => Some(signature),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(Error::file(&beside)(error)),
    };
    let checked = signing::check_file(bytes, signature.as_deref(), trust);
    checked.map(|()| signature.is_some()).map_err(|why| disbelief(file, why))
}

/// Why a file is not believed.
pub(super) fn disbelief(file: &Path, why: Distrust) -> Error {
    let told = match why {
        Distrust::Unsigned => "no signature lies beside it, in FILE.sig",
        Distrust::Foreign => "the key that signed it is not one that kafka.trust names",
        Distrust::Forged | Distrust::Replayed => "the signature beside it is not that of these bytes",
    };
    Error::Other(format!("{} is {}: {told}", file.display(), why.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), bytes).expect("there is room");
        read(file.path(), &Trust::default(), 0).err().expect("it is refused").told()
    }

    #[test]
    fn a_file_longer_than_any_version_is_refused_unread() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.as_file().set_len(MAX_PAYLOAD_BYTES + 1).expect("it has holes");
        assert!(
            read(file.path(), &Trust::default(), 0)
                .err()
                .expect("it is refused")
                .told()
                .contains("longer than any version")
        );
    }

    #[test]
    fn what_is_no_export_is_refused_in_a_sentence() {
        for bytes in [&b""[..], b"user,item,time\n1,2,3\n", &[0xff; 100]] {
            let why = refusal(bytes);
            assert!(why.contains("no whole file of `thalweg checkpoints export`"), "{why}");
        }
        let empty = Model::empty("flex").expect("opens").export().expect("exports");
        assert!(refusal(&empty).contains("knows no item"));
        assert!(refusal(&empty[..empty.len() / 2]).contains("or is damaged"));
        assert!(
            read(Path::new("nowhere.safetensors"), &Trust::default(), 0)
                .err()
                .expect("is refused")
                .told()
                .contains("nowhere")
        );
    }
}
