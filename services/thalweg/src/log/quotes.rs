//! Keeps a quotation mark that is not closed, and a line without an end, from swallowing a log.
//!
//! A CSV reader takes everything behind an open quotation mark for one field. Here a row that is not over after
//! [`ROW_BYTES`], or at the end of the file, is replaced by one that is no row, and reading goes on with the line after
//! the one where the quotation mark opened.

use std::io::{self, BufRead, Read};

use super::source::ROW_BYTES;

/// Stands where a row cannot be read: it is no UTF-8, so no column of it is, however many there are.
pub(super) const NO_ROW: &[u8] = b"\xff";

/// Where the scan stands, as the CSV reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Where a field begins.
    Start,
    /// In a field without quotation marks, or behind the closing one.
    Plain,
    /// Behind the quotation mark that opens a field.
    Quoted,
    /// Behind the next one, which closes the field unless another one follows.
    Closing,
    /// In a line that is too long.
    Lost,
}

/// Hands on what it reads, row by row as far as it is sure of them.
#[derive(Debug)]
pub(super) struct Closed<R> {
    from: R,
    delimiter: u8,
    /// Read and not forgotten yet. Memory is bounded: a row, and what comes from `from` at once.
    held: Vec<u8>,
    /// What of it was handed on; what is whole rows; what was scanned.
    out: usize,
    whole: usize,
    scanned: usize,
    at: At,
    /// Behind the quotation mark that opened the last quoted field of the row.
    opened: Option<usize>,
}

impl<R: BufRead> Closed<R> {
    pub(super) fn new(from: R, delimiter: u8) -> Self {
        Self { from, delimiter, held: Vec::new(), out: 0, whole: 0, scanned: 0, at: At::Start, opened: None }
    }

    /// Reads and scans on, once all that is whole was handed on; `false` when there is no more.
    fn more(&mut self) -> io::Result<bool> {
        self.held.drain(..self.out);
        self.whole -= self.out;
        self.scanned -= self.out;
        self.opened = self.opened.map(|opened| opened - self.out);
        self.out = 0;
        if self.scanned == self.held.len() {
            let read = self.from.fill_buf()?;
            let length = read.len();
            if length == 0 {
                return Ok(self.end());
            }
            self.held.extend_from_slice(read);
            self.from.consume(length);
        }
        self.scan();
        Ok(true)
    }

    fn scan(&mut self) {
        while let Some(byte) = self.held.get(self.scanned).copied() {
            self.scanned += 1;
            match (self.at, byte) {
                (At::Quoted, b'"') => self.at = At::Closing,
                (At::Closing, b'"') => self.at = At::Quoted,
                (At::Quoted, _) => {}
                (At::Lost, b'\n' | b'\r') => self.replace(self.scanned),
                (At::Lost, _) => {}
                (_, b'\n' | b'\r') => {
                    self.whole = self.scanned;
                    self.at = At::Start;
                    self.opened = None;
                }
                (At::Start, b'"') => {
                    self.at = At::Quoted;
                    self.opened = Some(self.scanned);
                }
                (_, byte) => self.at = if byte == self.delimiter { At::Start } else { At::Plain },
            }
            if self.scanned - self.whole > ROW_BYTES && self.at != At::Lost {
                match self.end_of_opening_line() {
                    Some(end) => self.replace(end),
                    None => self.at = At::Lost,
                }
            }
        }
        if self.at == At::Lost {
            self.held.truncate(self.whole);
            self.scanned = self.whole;
        }
    }

    /// Makes the best of what is left at the end of the file; `false` when that is nothing.
    fn end(&mut self) -> bool {
        let length = self.held.len();
        match self.at {
            At::Quoted => self.replace(self.end_of_opening_line().unwrap_or(length)),
            At::Lost => self.replace(length),
            At::Start | At::Plain | At::Closing => {
                self.whole = length;
                self.at = At::Start;
                self.opened = None;
            }
        }
        self.whole > self.out
    }

    /// Behind the first line end after the quotation mark that opened last.
    fn end_of_opening_line(&self) -> Option<usize> {
        let opened = self.opened?;
        let length = self.held[opened..self.scanned].iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
        Some(opened + length + 1)
    }

    /// Puts what is no row in the place of everything unsure before `end`, and goes on there.
    fn replace(&mut self, end: usize) {
        drop(self.held.splice(self.whole..end, NO_ROW.iter().chain(b"\n").copied()));
        self.whole += NO_ROW.len() + 1;
        self.scanned = self.whole;
        self.at = At::Start;
        self.opened = None;
    }
}

impl<R: BufRead> Read for Closed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.out == self.whole {
            if !self.more()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.whole - self.out);
        buffer[..length].copy_from_slice(&self.held[self.out..self.out + length]);
        self.out += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is handed on, with `#` for what is no row, read in pieces of every size.
    fn closed(text: &str) -> String {
        let read = |piece: usize| {
            let mut all = Vec::new();
            let from = io::BufReader::with_capacity(piece, text.as_bytes());
            Closed::new(from, b',').read_to_end(&mut all).expect("reads");
            let all = all.iter().map(|byte| if NO_ROW.contains(byte) { b'#' } else { *byte });
            String::from_utf8(all.collect()).expect("UTF-8")
        };
        let first = read(1);
        assert!([2, 3, 7, 1 << 20].into_iter().all(|piece| read(piece) == first), "{text}");
        first
    }

    #[test]
    fn what_is_closed_is_handed_on_as_it_is() {
        for text in [
            "",
            "\n\n",
            "a,b",
            "a,b\r\nc,d\r\n",
            "a,\"b\nb\",c\n",
            "\"a \"\"quoted\"\" word\",\"\"\n",
            "a,6\" nails\nb,\"c\"d\n",
            "a\r\"b\"",
        ] {
            assert_eq!(closed(text), text);
        }
    }

    #[test]
    fn after_an_open_quotation_mark_it_goes_on_with_the_next_line() {
        assert_eq!(closed("a,b\nc,\"d\ne,f\ng,h"), "a,b\n#\ne,f\ng,h");
        assert_eq!(closed("a,b\r\nc,\"d\r\ne,\"\"\r\n"), "a,b\r\n#\n\ne,\"\"\r\n");
        assert_eq!(closed("a,\"b\nb\",\"c\nd,e"), "#\nd,e", "the row began a line before");
        assert_eq!(closed("a,b\nc,\"d"), "a,b\n#\n");
        assert_eq!(closed("\""), "#\n");
    }

    #[test]
    fn a_row_beyond_the_bound_is_no_row_and_the_others_are() {
        let long = "x".repeat(ROW_BYTES);
        assert_eq!(closed(&format!("a,b\n{long}\nc,d\n")).len(), 4 + ROW_BYTES + 1 + 4, "just short enough");
        assert_eq!(closed(&format!("a,b\n{long}{long}x\nc,d\n")), "a,b\n#\nc,d\n");
        assert_eq!(closed(&format!("a,b\n{long}x")), "a,b\n#\n");
        assert_eq!(closed(&format!("a,\"{long}{long}\nc,d\n")), "#\nc,d\n");
        let lines = "x,y\n".repeat(ROW_BYTES / 2);
        assert_eq!(closed(&format!("a,\"b\n{lines}")), format!("#\n{lines}"));
    }
}
