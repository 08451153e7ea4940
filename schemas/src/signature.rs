//! Who may write what is decided and served: ed25519 signatures of records, each in a header of its record.
//!
//! A signature covers the topic's full name, the record's key and its value. So a record that is moved to another
//! topic, key or prefix does not verify, and values are as they are without signatures. A manifest holds the BLAKE3 of
//! its payload, so chunks need no signature of their own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ed25519_dalek::{Signature, Signer, SigningKey as Secret, VerifyingKey};

use crate::checkpoint::{Part, parse_key};
use crate::topics::{Topic, Topics};

/// Header of a record: `KEY-ID:SIGNATURE`, both hexadecimal.
pub const SIGNATURE: &str = "signature";

/// Stands before a secret key in text.
pub const SECRET: &str = "thalweg-secret-ed25519:";
/// Stands before a public key in text.
const PUBLIC: &str = "ed25519:";

/// What is signed begins with one of these: a signature of one kind is none of another.
const RECORD: &[u8] = b"thalweg record 1";
const FILE: &[u8] = b"thalweg file 1";

/// Hexadecimal digits of a key's id: the first of the public key.
const ID: usize = 16;

/// A secret key. It is shown nowhere but in [`SigningKey::secret`], and wiped when dropped.
pub struct SigningKey(Secret);

impl SigningKey {
    /// The key of this seed, which must come from a source of randomness fit for secrets.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Secret::from_bytes(seed))
    }

    /// Reads the line that [`SigningKey::secret`] writes.
    ///
    /// # Errors
    /// When it is none; the text never holds what was given.
    pub fn read(line: &str) -> Result<Self, String> {
        let advice = || format!("no secret key: it is one line, {SECRET} and 64 hexadecimal digits, as by `keys new`");
        let mut seed = [0; 32];
        let digits = line.trim().strip_prefix(SECRET).ok_or_else(advice)?;
        hex::decode_to_slice(digits, &mut seed).map_err(|_| advice())?;
        Ok(Self::from_seed(&seed))
    }

    /// The line of its file: whoever reads it can sign.
    #[must_use]
    pub fn secret(&self) -> String {
        format!("{SECRET}{}", hex::encode(self.0.as_bytes()))
    }

    /// The key that others trust.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The header's value for a record of the topic with this full name.
    #[must_use]
    pub fn sign(&self, topic: &str, key: &[u8], value: &[u8]) -> String {
        self.over(&signed(RECORD, [topic.as_bytes(), key, value]))
    }

    /// The signature of a file, by the BLAKE3 of its bytes.
    #[must_use]
    pub fn sign_file(&self, hash: &[u8; 32]) -> String {
        self.over(&signed(FILE, [hash, &[], &[]]))
    }

    fn over(&self, bytes: &[u8]) -> String {
        format!("{}:{}", self.public().id(), hex::encode(self.0.sign(bytes).to_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ***)", self.public().id())
    }
}

/// The key by which signatures are checked; in text `ed25519:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// A short name for people and for headers: 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&self.0.as_bytes()[..ID / 2])
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", hex::encode(self.0.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice =
            || format!("no public key: it is {PUBLIC} and 64 hexadecimal digits, as `thalweg keys show` prints");
        let mut bytes = [0; 32];
        let digits = text.trim().strip_prefix(PUBLIC).ok_or_else(advice)?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| advice())?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| advice())
    }
}

/// Why a record is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distrust {
    /// It has no signature.
    Unsigned,
    /// Its signature is not one of a trusted key over this record.
    Forged,
    /// It is signed by a key that is not trusted.
    Foreign,
    /// It was signed once, and written again by somebody.
    Replayed,
}

impl Distrust {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Unsigned, Self::Forged, Self::Foreign, Self::Replayed];

    /// Its name in metrics and in the audit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Foreign => "foreign",
            Self::Replayed => "replayed",
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "it has no signature, and kafka.require_signature asks for one",
            Self::Forged => "its signature is not one of the record: it was forged or moved here",
            Self::Foreign => "it is signed by a key that kafka.trust does not name",
            Self::Replayed => "it was signed once, and somebody wrote it again",
        })
    }
}

/// Whose records are believed. Clones share the keys.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    keys: Arc<[PublicKey]>,
    required: bool,
}

impl Trust {
    /// Believes what these keys signed, and what is not signed unless `required`. Without keys and not `required`,
    /// everything is believed.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>, required: bool) -> Self {
        Self { keys: keys.into(), required }
    }

    /// The same by keys as the configuration spells them. One that is none is believed by nobody.
    #[must_use]
    pub fn by(keys: &[String], required: bool) -> Self {
        Self::new(keys.iter().filter_map(|key| key.parse().ok()).collect(), required)
    }

    /// Whether anything can be disbelieved.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.required || !self.keys.is_empty()
    }

    /// Whether what is not signed is refused.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Whether what this key signs is believed.
    #[must_use]
    pub fn names(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }

    /// Checks a record of the topic with this full name, by its header.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn check(&self, topic: &str, key: &[u8], value: &[u8], header: Option<&[u8]>) -> Result<(), Distrust> {
        if !self.is_on() {
            return Ok(());
        }
        let Some(header) = header else {
            return if self.required { Err(Distrust::Unsigned) } else { Ok(()) };
        };
        self.verify(header, || signed(RECORD, [topic.as_bytes(), key, value]))
    }

    /// Checks the signature of a file, by the BLAKE3 of its bytes. Unlike a record, a file without keys to check it by
    /// is not believed.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn check_file(&self, hash: &[u8; 32], signature: &str) -> Result<(), Distrust> {
        self.verify(signature.trim().as_bytes(), || signed(FILE, [hash, &[], &[]]))
    }

    fn verify(&self, header: &[u8], bytes: impl FnOnce() -> Vec<u8>) -> Result<(), Distrust> {
        let parts = std::str::from_utf8(header).ok().and_then(|text| text.split_once(':'));
        let (id, digits) = parts.ok_or(Distrust::Forged)?;
        let mut signature = [0; 64];
        hex::decode_to_slice(digits, &mut signature).map_err(|_| Distrust::Forged)?;
        let mut named = self.keys.iter().filter(|key| key.id() == id).peekable();
        if named.peek().is_none() {
            return Err(Distrust::Foreign);
        }
        let (bytes, signature) = (bytes(), Signature::from_bytes(&signature));
        let is_theirs = named.any(|PublicKey(key)| key.verify_strict(&bytes, &signature).is_ok());
        if is_theirs { Ok(()) } else { Err(Distrust::Forged) }
    }
}

/// Whether records of this topic and key carry a signature: all of `control` and `audit`; of `checkpoints`, and of a
/// challenger's `checkpoints.NAME`, claims and manifests.
#[must_use]
pub fn is_signed(topics: &Topics, topic: &str, key: &[u8]) -> bool {
    if [Topic::Control, Topic::Audit].iter().any(|signed| topics.name(*signed) == topic) {
        return true;
    }
    let rest = topic.strip_prefix(&topics.name(Topic::Checkpoints));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        && matches!(parse_key(key), Ok((_, Part::Claim | Part::Manifest)))
}

/// The bytes that are signed: each part behind its length, so that none can pass for another.
fn signed(domain: &[u8], parts: [&[u8]; 3]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(domain.len() + parts.iter().map(|part| part.len() + 8).sum::<usize>());
    bytes.extend_from_slice(domain);
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests;
