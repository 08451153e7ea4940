//! What separates the columns of a delimited log, and how a line is split.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// What separates two columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delimiter {
    /// These bytes.
    Text(Vec<u8>),
    /// One blank or tab, or several.
    Blank,
}

/// The longest delimiter; what is longer is a mistake.
const LONGEST: usize = 8;

impl Delimiter {
    /// What logs are separated by, the likeliest first.
    pub(super) fn known() -> impl Iterator<Item = Self> {
        let texts = [&b","[..], b"\t", b";", b"|", b"::", b"\x01", b"^", b"~"];
        texts.into_iter().map(|text| Self::Text(text.to_vec())).chain([Self::Blank])
    }

    /// How many bytes of it stand at the beginning of `rest`; 0 for none.
    fn length(&self, rest: &[u8]) -> usize {
        match self {
            Self::Text(text) => {
                if rest.starts_with(text) {
                    text.len()
                } else {
                    0
                }
            }
            Self::Blank => rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count(),
        }
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = match text {
            "space" | "blank" | " " => return Ok(Self::Blank),
            "tab" | "\\t" => "\t",
            "comma" => ",",
            "semicolon" => ";",
            "pipe" => "|",
            "\\001" | "\\x01" | "^A" => "\x01",
            text => text,
        };
        if bytes.is_empty() || bytes.len() > LONGEST || bytes.contains(['"', '\n', '\r']) {
            return Err(format!(
                "write what stands between two columns, such as `;`, `::`, tab or space: at most {LONGEST} bytes, no \
                 quotation mark and no line end"
            ));
        }
        Ok(Self::Text(bytes.as_bytes().to_vec()))
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blanks"),
            Self::Text(text) if text == b"\t" => f.write_str("tabs"),
            Self::Text(text) => write!(f, "`{}`", crate::shown::plain(&String::from_utf8_lossy(text))),
        }
    }
}

/// What quotation marks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Text like any other.
    Text,
    /// They enclose a field; two of them stand for one (RFC 4180).
    Doubled,
    /// They enclose a field; one stands behind a backslash, as Spark and MySQL write.
    Escaped,
}

/// How a line came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// As the rules have it.
    Whole,
    /// A quotation mark stands in an enclosed field, and is text.
    Odd,
    /// A field is not closed: it began where this says.
    Open,
}

/// The fields of a row: where they are, and whether they are enclosed.
#[derive(Debug, Default)]
pub(super) struct Fields {
    at: Vec<(Range<usize>, Option<Quotes>)>,
    /// Whether a quotation mark stood in an enclosed field as text.
    odd: bool,
}

impl Fields {
    pub(super) fn len(&self) -> usize {
        self.at.len()
    }

    pub(super) const fn is_odd(&self) -> bool {
        self.odd
    }

    /// Whether every field from the `from`-th on is empty.
    pub(super) fn is_empty_from(&self, from: usize, line: &[u8]) -> bool {
        self.at.iter().skip(from).all(|(at, _)| line[at.clone()].trim_ascii().is_empty())
    }

    /// The `n`-th field's text.
    pub(super) fn get<'l>(&self, n: usize, line: &'l [u8]) -> Option<Cow<'l, [u8]>> {
        let (at, quotes) = self.at.get(n)?;
        let text = &line[at.clone()];
        let escape = match quotes {
            Some(Quotes::Doubled) => b'"',
            Some(Quotes::Escaped) => b'\\',
            _ => return Some(Cow::Borrowed(text)),
        };
        if !text.contains(&escape) {
            return Some(Cow::Borrowed(text));
        }
        let mut plain = Vec::with_capacity(text.len());
        let mut bytes = text.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            let next = bytes.peek().copied();
            plain.push(match next {
                Some(next) if byte == escape && (next == b'"' || next == escape) => {
                    bytes.next();
                    next
                }
                _ => byte,
            });
        }
        Some(Cow::Owned(plain))
    }

    /// Splits `line`, which may be several ones where a field goes over them.
    pub(super) fn split(&mut self, line: &[u8], delimiter: &Delimiter, quotes: Quotes) -> Split {
        self.at.clear();
        self.odd = false;
        if let (Delimiter::Text(text), true) = (delimiter, quotes == Quotes::Text || !line.contains(&b'"'))
            && let [byte] = text.as_slice()
        {
            let mut start = 0;
            for field in line.split(|b| b == byte) {
                self.at.push((start..start + field.len(), None));
                start += field.len() + 1;
            }
            return Split::Whole;
        }
        let mut outcome = Split::Whole;
        let end = if *delimiter == Delimiter::Blank { line.trim_ascii_end().len() } else { line.len() };
        let mut at = if *delimiter == Delimiter::Blank { delimiter.length(line).min(end) } else { 0 };
        loop {
            let rest = &line[at..end];
            let blank = rest.iter().take_while(|byte| **byte == b' ').count();
            let next = if quotes != Quotes::Text && rest.get(blank) == Some(&b'"') {
                let begin = at + blank + 1;
                let close = close(&line[begin..end], delimiter, quotes);
                self.odd |= close.odd;
                if self.odd {
                    outcome = Split::Odd;
                }
                if close.split == Split::Open {
                    return Split::Open;
                }
                self.at.push((begin..begin + close.length, Some(quotes)));
                begin + close.next
            } else {
                let length = (0..rest.len()).find(|n| delimiter.length(&rest[*n..]) > 0).unwrap_or(rest.len());
                self.at.push((at..at + length, None));
                at + length
            };
            if next >= end {
                return outcome;
            }
            at = next + delimiter.length(&line[next..end]);
        }
    }
}

/// An enclosed field: how long its text is, and where the delimiter behind it stands.
struct Close {
    split: Split,
    odd: bool,
    length: usize,
    next: usize,
}

/// Finds the end of an enclosed field whose text begins `rest`: a quotation mark before a delimiter or the end.
fn close(rest: &[u8], delimiter: &Delimiter, quotes: Quotes) -> Close {
    let mut odd = false;
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' if quotes == Quotes::Escaped => at += 2,
            b'"' if quotes == Quotes::Doubled && rest.get(at + 1) == Some(&b'"') => at += 2,
            b'"' => {
                let behind = &rest[at + 1..];
                let blank = behind.iter().take_while(|byte| **byte == b' ').count();
                if behind.is_empty() || delimiter.length(behind) > 0 {
                    return Close { split: Split::Whole, odd, length: at, next: at + 1 };
                }
                if blank == behind.len() || delimiter.length(&behind[blank..]) > 0 {
                    return Close { split: Split::Whole, odd, length: at, next: at + 1 + blank };
                }
                odd = true;
                at += 1;
            }
            _ => at += 1,
        }
    }
    Close { split: Split::Open, odd, length: rest.len(), next: rest.len() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(line: &str, delimiter: &str, quotes: Quotes) -> (Split, Vec<String>) {
        let mut fields = Fields::default();
        let outcome = fields.split(line.as_bytes(), &delimiter.parse().expect("a delimiter"), quotes);
        let text =
            |n| String::from_utf8(fields.get(n, line.as_bytes()).expect("is there").into_owned()).expect("UTF-8");
        (outcome, (0..fields.len()).map(text).collect())
    }

    #[test]
    fn a_line_is_split_at_its_delimiter() {
        for (line, delimiter, fields) in [
            ("a,b,,c", ",", vec!["a", "b", "", "c"]),
            ("a,b,", ",", vec!["a", "b", ""]),
            ("", ",", vec![""]),
            ("a::b:c::", "::", vec!["a", "b:c", ""]),
            ("a\tb c", "tab", vec!["a", "b c"]),
            ("  a  b \t c ", "space", vec!["a", "b", "c"]),
            ("a\u{1}b", "\\x01", vec!["a", "b"]),
        ] {
            for quotes in [Quotes::Text, Quotes::Doubled, Quotes::Escaped] {
                let expected: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
                assert_eq!(split(line, delimiter, quotes), (Split::Whole, expected), "{line}");
            }
        }
        assert!(["", "a\"b", "a\nb", "123456789"].into_iter().all(|text| text.parse::<Delimiter>().is_err()));
    }

    #[test]
    fn a_line_of_blanks_alone_is_one_empty_field() {
        for line in [" ", " \t ", "\u{c} ", ""] {
            let (outcome, fields) = split(line, "space", Quotes::Doubled);
            assert_eq!((outcome, fields.len()), (Split::Whole, 1), "{line:?}");
        }
    }

    #[test]
    fn quotation_marks_enclose_or_are_text() {
        for (line, quotes, expected) in [
            ("\"a,b\",c", Quotes::Doubled, (Split::Whole, vec!["a,b", "c"])),
            ("\"a \"\"b\"\"\",\"\"", Quotes::Doubled, (Split::Whole, vec!["a \"b\"", ""])),
            ("a, \"b,c\" ,d", Quotes::Doubled, (Split::Whole, vec!["a", "b,c", "d"])),
            ("12\" vinyl,c", Quotes::Doubled, (Split::Whole, vec!["12\" vinyl", "c"])),
            ("\"6\" nails, long\",c", Quotes::Doubled, (Split::Odd, vec!["6\" nails, long", "c"])),
            ("\"Weird\" Al,c", Quotes::Text, (Split::Whole, vec!["\"Weird\" Al", "c"])),
            ("\"say \\\"hi\\\", ok\",c", Quotes::Escaped, (Split::Whole, vec!["say \"hi\", ok", "c"])),
            ("\"C:\\\\\",c", Quotes::Escaped, (Split::Whole, vec!["C:\\", "c"])),
        ] {
            let (outcome, fields) = expected;
            let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
            assert_eq!(split(line, ",", quotes), (outcome, fields), "{line}");
        }
        for (line, quotes) in
            [("\"Weird\" Al,c", Quotes::Doubled), ("\"a,b\\\"", Quotes::Escaped), ("a,\"", Quotes::Doubled)]
        {
            assert_eq!(split(line, ",", quotes).0, Split::Open, "{line}");
        }
    }

    /// Pieces of fields, and what quoting has to keep apart.
    fn field() -> impl Strategy<Value = String> {
        let pieces: &'static [&str] =
            &["a", "7", " ", ",", ";", ":", "::", "\t", "\"", "\"\"", "\\", "\\\"", "\n", "ü", ""];
        proptest::collection::vec(proptest::sample::select(pieces), 0..8).prop_map(|pieces| pieces.concat())
    }

    /// A field as programs write it: enclosed where it must be, or always.
    fn written(field: &str, delimiter: &str, quotes: Quotes, always: bool) -> String {
        let plain = !field.contains(|c: char| c == '"' || c == '\\' || c.is_whitespace() || delimiter.contains(c));
        if plain && !always {
            return field.to_owned();
        }
        let text = match quotes {
            Quotes::Text | Quotes::Doubled => field.replace('"', "\"\""),
            Quotes::Escaped => field.replace('\\', "\\\\").replace('"', "\\\""),
        };
        format!("\"{text}\"")
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_a_program_encloses_is_read_as_it_was(
            fields in proptest::collection::vec(field(), 1..6),
            delimiter in proptest::sample::select(&[",", ";", "::", "\t"]),
            always in any::<bool>(),
            quotes in proptest::sample::select(&[Quotes::Doubled, Quotes::Escaped]),
        ) {
            let row: Vec<_> = fields.iter().map(|field| written(field, delimiter, quotes, always)).collect();
            prop_assert_eq!(split(&row.join(delimiter), delimiter, quotes), (Split::Whole, fields));
        }
    }
}
