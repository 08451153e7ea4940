//! Which words of a log stand for nothing.

use schemas::vocabulary;

/// The words that programs write for nothing, and those that the user names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nothing {
    words: Vec<String>,
    /// Only they; an empty word among them says so.
    alone: bool,
}

/// Words that may be a name and are, in a log's column of users or items, mostly a word for nobody or nothing.
pub(super) const SUSPECTS: [&str; 18] = [
    "-",
    "--",
    "?",
    ".",
    "0",
    "-1",
    "na",
    "Na",
    "n.a.",
    "unknown",
    "Unknown",
    "UNKNOWN",
    "anonymous",
    "guest",
    "missing",
    "empty",
    "nobody",
    "void",
];

impl Nothing {
    /// The usual words and `words`; with an empty one among them, `words` alone.
    #[must_use]
    pub fn new(words: &[String]) -> Self {
        let words: Vec<String> = words.iter().map(|word| word.trim().to_owned()).collect();
        Self { alone: words.iter().any(String::is_empty), words }
    }

    /// What is there: `text` trimmed, unless that stands for nothing.
    #[must_use]
    pub fn present<'t>(&self, text: &'t str) -> Option<&'t str> {
        let text = text.trim();
        let is_nothing = text.is_empty()
            || self.words.iter().any(|word| word == text)
            || !self.alone && vocabulary::is_nothing(text);
        (!is_nothing).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_named_stands_for_nothing_beside_the_usual_ones_and_an_empty_one_leaves_them_out() {
        let usual = Nothing::default();
        assert_eq!(
            ["NULL", "\\N", " NaN ", "", "-", "i9"].map(|text| usual.present(text)),
            [None, None, None, None, Some("-"), Some("i9")]
        );
        let dash = Nothing::new(&["-".to_owned()]);
        assert_eq!([dash.present("-"), dash.present("null"), dash.present("i9")], [None, None, Some("i9")]);
        let alone = Nothing::new(&[String::new(), "-".to_owned()]);
        assert_eq!([alone.present("-"), alone.present("null"), alone.present(" ")], [None, Some("null"), None]);
        assert!(SUSPECTS.into_iter().all(|word| usual.present(word).is_some()), "they may be names");
    }
}
