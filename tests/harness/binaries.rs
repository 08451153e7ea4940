//! Where the services' binaries are, and that they are those of the sources beside them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fmt};

/// A binary of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Validates events.
    Ingest,
    /// Learns and publishes.
    Trainer,
    /// Serves.
    Scorer,
    /// The operator's command.
    Thalweg,
}

impl Name {
    /// As the file is called.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Trainer => "trainer",
            Self::Scorer => "scorer",
            Self::Thalweg => "thalweg",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The path of a binary, built from the sources as they are now.
///
/// Cargo builds no binary of another package for a test, and a stale one would prove nothing. So the first test asks
/// cargo once for all of them, in the words of `just build`: another choice of packages would unify other features and
/// compile Burn again. When they are fresh that takes half a second.
///
/// # Panics
/// When they cannot be built, or are not there.
#[must_use]
pub fn binary(name: Name) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let path = FOLDER.get_or_init(folder).join(name.as_str());
    assert!(path.is_file(), "{} is missing: run `cargo build --workspace --bins`", path.display());
    path
}

fn folder() -> PathBuf {
    if let Some(given) = env::var_os("THALWEG_TEST_BINARIES") {
        return given.into();
    }
    // target/debug/deps/e2e-0123456789abcdef, or target/debug/chaos
    let program = env::current_exe().expect("a program knows its own path");
    let folder = program.parent().expect("a program lies in a folder");
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_owned();
    // Not set when the test is run without cargo: then what is there has to do.
    if let Some(cargo) = env::var_os("CARGO") {
        build(Path::new(&cargo), folder.ends_with("release"));
    }
    folder
}

fn build(cargo: &Path, release: bool) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace");
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--workspace", "--bins", "--locked"]).current_dir(root);
    if release {
        command.arg("--release");
    }
    let status = command.status().expect("cargo can be run: it runs this test");
    assert!(status.success(), "the services do not build; `cargo build --workspace --bins` says why");
}
