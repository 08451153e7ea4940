//! Who decides, and why, as commands are told it and as it is kept.

use crate::error::Error;

/// Who decides (`--by`, else `$USER`) and why (`--reason`), each within `most` bytes; `missing` is said to who did not
/// say why.
///
/// # Errors
/// When there is no reason, or one of them is no text that can be kept.
pub(super) fn said(
    reason: Option<&String>,
    by: Option<&String>,
    missing: &str,
    most: usize,
) -> Result<(String, String), Error> {
    let reason = reason.cloned().ok_or_else(|| Error::Other(missing.to_owned()))?;
    let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
    let by = by.cloned().or_else(user).unwrap_or_else(|| "operator".to_owned());
    for (option, text) in [("--reason", &reason), ("--by", &by)] {
        if text.is_empty() || text.len() > most || text.chars().any(char::is_control) {
            return Err(Error::Other(format!("{option}: between 1 and {most} bytes, without control characters")));
        }
    }
    Ok((by, reason))
}
