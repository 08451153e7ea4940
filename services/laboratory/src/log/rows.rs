//! Puts lines together to rows: a quoted field may go over several of them, and a quotation mark may be mere text.
//!
//! A line counts as one row, whatever is wrong with it, so that nothing vanishes. Only where a quoted field that is
//! closed as the rules have it, and that makes a row as wide as the header, goes over several lines, they are one row.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::ops::Range;

use super::dialect::{Delimiter, Fields, Quotes, Split};
use super::skip::Skip;
use super::source::{Ends, ROW_BYTES, next_line};
use crate::shown;

/// Lines with quotation marks that a field may go over: each time the row is looked at anew.
const TRIES: usize = 64;

/// Reads lines ahead, as far as a row may go.
pub(super) struct Rows<R> {
    from: R,
    ends: Ends,
    /// Lines read and not used yet, with a line feed behind each. Memory is bounded: a row, and one line more.
    held: Vec<u8>,
    lines: VecDeque<Range<usize>>,
}

/// What a line, or several ones, came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// As wide as the header; the fields are of this place in the text that is held.
    Fields(Range<usize>),
    /// Nothing in the line.
    Blank,
    /// Longer than a row may be.
    TooLong,
    /// A quotation mark opens a field and none closes it.
    Open,
    /// So many fields.
    Wide(usize),
}

impl Row {
    /// Why it is no row, and what stands there instead, in the words of a message; `None` for one that is.
    pub(super) fn unfit(&self, line: &[u8], columns: usize) -> Option<(Skip, String)> {
        Some(match self {
            Self::Fields(_) => return None,
            Self::Blank => (Skip::Blank, "nothing in it".to_owned()),
            Self::TooLong => (Skip::Malformed, "longer than 1 MiB".to_owned()),
            Self::Open => {
                (Skip::Malformed, format!("a quotation mark that is not closed in {}", shown::quoted_bytes(line)))
            }
            Self::Wide(found) => {
                let line = shown::quoted_bytes(line);
                (Skip::Malformed, format!("{found} fields where the header has {columns}, in {line}"))
            }
        })
    }
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(from: R, ends: Ends) -> Self {
        Self { from, ends, held: Vec::new(), lines: VecDeque::new() }
    }

    /// Reads until `count` lines are held, or as many bytes as a row may have; gives how many there are.
    pub(super) fn ahead(&mut self, count: usize) -> io::Result<usize> {
        while self.lines.len() < count {
            let start = self.lines.front().map_or(self.held.len(), |line| line.start);
            if self.lines.is_empty() {
                self.held.clear();
            } else if self.held.len() - start > ROW_BYTES {
                break;
            }
            let start = self.held.len();
            if !next_line(&mut self.from, self.ends, &mut self.held)? {
                break;
            }
            self.lines.push_back(start..self.held.len());
            self.held.push(b'\n');
        }
        Ok(self.lines.len())
    }

    /// The lines that are held.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| &self.held[line.clone()])
    }

    /// Forgets the first `count` lines.
    pub(super) fn pass(&mut self, count: usize) {
        self.lines.drain(..count.min(self.lines.len()));
        if let Some(first) = self.lines.front().map(|line| line.start).filter(|start| *start > 2 * ROW_BYTES) {
            self.held.drain(..first);
            self.lines.iter_mut().for_each(|line| *line = line.start - first..line.end - first);
        }
    }

    /// The text of a row.
    pub(super) fn text(&self, row: Range<usize>) -> &[u8] {
        &self.held[row]
    }

    /// The next row, and the lines that it takes; they are to be passed once it was looked at. `None` at the end.
    pub(super) fn next(&mut self, width: &Width, fields: &mut Fields) -> io::Result<Option<(Row, usize)>> {
        if self.ahead(1)? == 0 {
            return Ok(None);
        }
        let first = self.lines[0].clone();
        let line = &self.held[first.clone()];
        if line.len() > ROW_BYTES {
            return Ok(Some((Row::TooLong, 1)));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(Some((Row::Blank, 1)));
        }
        let split = fields.split(line, &width.delimiter, Quotes::Doubled);
        let fits = split != Split::Open && width.fits(fields, line);
        if fits && split == Split::Whole {
            return Ok(Some((Row::Fields(first), 1)));
        }
        let found = fields.len();
        let escapes = line.windows(2).any(|pair| pair == b"\\\"");
        if escapes && fields.split(line, &width.delimiter, Quotes::Escaped) == Split::Whole && width.fits(fields, line)
        {
            return Ok(Some((Row::Fields(first), 1)));
        }
        if fits {
            fields.split(line, &width.delimiter, Quotes::Doubled);
            return Ok(Some((Row::Fields(first), 1)));
        }
        if split == Split::Open {
            for quotes in [Quotes::Doubled, Quotes::Escaped] {
                if let Some(count) = self.several(width, fields, quotes)? {
                    let last = self.lines[count - 1].end;
                    return Ok(Some((Row::Fields(self.lines[0].start..last), count)));
                }
            }
        }
        let first = self.lines[0].clone();
        let line = &self.held[first.clone()];
        fields.split(line, &width.delimiter, Quotes::Text);
        if width.fits(fields, line) {
            return Ok(Some((Row::Fields(first), 1)));
        }
        Ok(Some((if split == Split::Open { Row::Open } else { Row::Wide(found) }, 1)))
    }

    /// How many lines make one row, if the field that the first one leaves open is closed in a later one as `quotes`
    /// has it.
    fn several(&mut self, width: &Width, fields: &mut Fields, quotes: Quotes) -> io::Result<Option<usize>> {
        let (mut count, mut tries) = (1, 0);
        loop {
            count += 1;
            if self.ahead(count)? < count {
                return Ok(None);
            }
            let (start, last) = (self.lines[0].start, self.lines[count - 1].clone());
            if last.end - start > ROW_BYTES {
                return Ok(None);
            }
            // Nothing is closed without a quotation mark.
            if !self.held[last.clone()].contains(&b'"') {
                continue;
            }
            tries += 1;
            if tries > TRIES {
                return Ok(None);
            }
            let text = &self.held[start..last.end];
            match fields.split(text, &width.delimiter, quotes) {
                Split::Open if !fields.is_odd() => {}
                Split::Whole if width.fits(fields, text) && !self.are_rows(count, width) => {
                    fields.split(text, &width.delimiter, quotes);
                    return Ok(Some(count));
                }
                _ => return Ok(None),
            }
        }
    }

    /// Whether the first `count` lines are rows if quotation marks are text: the first, the last and most between.
    fn are_rows(&self, count: usize, width: &Width) -> bool {
        let mut fields = Fields::default();
        let mut is_row = |line: &[u8]| {
            fields.split(line, &width.delimiter, Quotes::Text);
            width.fits(&fields, line)
        };
        let rows: Vec<bool> = self.lines().take(count).map(&mut is_row).collect();
        rows[0] && rows[count - 1] && 2 * rows.iter().filter(|row| **row).count() >= count
    }
}

/// How many fields a row has.
#[derive(Debug, Clone)]
pub(super) struct Width {
    pub(super) delimiter: Delimiter,
    /// Columns of the header, and those of them that have a name: a delimiter at the end of header or row is no column.
    pub(super) columns: usize,
    pub(super) named: usize,
}

impl Width {
    /// That of a header.
    pub(super) fn of(names: &[String], delimiter: Delimiter) -> Self {
        let named = names.iter().rposition(|name| !name.is_empty()).map_or(names.len(), |last| last + 1);
        Self { delimiter, columns: names.len(), named }
    }

    fn fits(&self, fields: &Fields, line: &[u8]) -> bool {
        fields.len() >= self.named && fields.is_empty_from(self.columns, line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows as texts; `#` for what is none, ` ` for a blank line.
    fn rows(text: &str, columns: usize) -> Vec<String> {
        let read = |piece: usize| {
            let mut rows = Rows::new(io::BufReader::with_capacity(piece, text.as_bytes()), Ends::LineFeed);
            let width = Width { delimiter: ",".parse().expect("a delimiter"), columns, named: columns };
            let (mut all, mut fields) = (Vec::new(), Fields::default());
            while let Some((row, lines)) = rows.next(&width, &mut fields).expect("reads") {
                all.push(match row {
                    Row::Fields(at) => {
                        let text = rows.text(at);
                        let field = |n| String::from_utf8_lossy(&fields.get(n, text).expect("is there")).into_owned();
                        (0..columns).map(field).collect::<Vec<_>>().join("|")
                    }
                    Row::Blank => " ".to_owned(),
                    Row::TooLong | Row::Open | Row::Wide(_) => "#".to_owned(),
                });
                rows.pass(lines);
            }
            all
        };
        let first = read(1);
        assert!([2, 3, 7, 1 << 20].into_iter().all(|piece| read(piece) == first), "{text}");
        first
    }

    #[test]
    fn a_field_that_rightly_goes_over_several_lines_is_of_one_row() {
        assert_eq!(rows("a,\"b\nb\",c\nd,e,f\n", 3), ["a|b\nb|c", "d|e|f"]);
        assert_eq!(rows("a,\"b \"\"x\"\"\n\n,\nb\",c\nd,e,f", 3), ["a|b \"x\"\n\n,\nb|c", "d|e|f"]);
        assert_eq!(rows("a,b,\"c\nc\"\nd,e,f\n", 3), ["a|b|c\nc", "d|e|f"], "in the last column");
    }

    #[test]
    fn a_quotation_mark_that_is_text_swallows_no_line() {
        assert_eq!(rows("a,\"b,c\nd,e,f\ng,\"h,i\nj,k,l", 3), ["a|\"b|c", "d|e|f", "g|\"h|i", "j|k|l"]);
        assert_eq!(rows("a,\"b,c\nd,e,f\ng,7\",i\n", 3), ["a|\"b|c", "d|e|f", "g|7\"|i"], "closed by chance");
        assert_eq!(rows("a,12\" b,c\nd,\"W\" A,f\n", 3), ["a|12\" b|c", "d|\"W\" A|f"]);
        assert_eq!(rows("a,\"x \\\"y\\\", z\",c\nd,\"\\\"e\",f\n", 3), ["a|x \"y\", z|c", "d|\"e|f"], "Spark's");
    }

    #[test]
    fn a_field_over_more_lines_with_quotation_marks_than_are_tried_is_text_and_no_line_is_swallowed() {
        let over = |lines: usize| rows(&format!("a,\"b\n{}x\",c\nd,e,f\n", "so \"\"it\"\" goes\n".repeat(lines)), 3);
        assert_eq!(over(TRIES - 1).len(), 2, "one row of many lines, and the one behind it");
        let beyond = over(TRIES);
        assert_eq!((beyond.len(), beyond.last().map(String::as_str)), (TRIES + 3, Some("d|e|f")));
    }

    #[test]
    fn every_line_that_is_no_row_is_counted() {
        assert_eq!(rows("a,\"b\nc,d,e\n", 3), ["#", "c|d|e"]);
        assert_eq!(rows("a,b\nb\",c\nd,e,f,\n\nd,e,f,g\n", 3), ["#", "#", "d|e|f", " ", "#"]);
        let long = "x".repeat(ROW_BYTES + 1);
        assert_eq!(rows(&format!("a,b\n{long}\nc,d\n{long}"), 2), ["a|b", "#", "c|d", "#"]);
        let lines = "x,y\n".repeat(ROW_BYTES / 2);
        let all = rows(&format!("a,\"b\n{lines}"), 2);
        assert_eq!((all.len(), all[0].as_str(), all[1].as_str()), (1 + ROW_BYTES / 2, "a|\"b", "x|y"));
    }
}
