//! Opens a file, sees through its compression and tells its format: by content, never by extension.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use super::gzip::Members;
use super::kind::{self, HEAD};
use super::{LogError, Progress};

/// A row of text that is longer is no row, and memory does not grow by it.
pub(super) const ROW_BYTES: usize = 1 << 20;

/// Read-ahead: large enough that system calls do not count beside parsing.
const BUFFER_BYTES: usize = 256 * 1024;

/// How often progress is told, in rows.
const PROGRESS_ROWS: u64 = 16_384;

/// An opened log, by format.
pub(super) enum Source {
    /// Columnar; needs random access, so it is never compressed from outside.
    Parquet(File),
    /// One JSON object per line.
    JsonLines(Text),
    /// CSV or one of its cousins.
    Delimited(Text),
}

/// What was looked at put back before the rest.
type Whole = Chain<Cursor<Vec<u8>>, Box<dyn BufRead>>;

/// Decompressed text, without a byte order mark.
pub struct Text {
    pub(super) all: BufReader<Whole>,
    pub(super) ends: Ends,
    read: Rc<Cell<u64>>,
    size: u64,
}

/// A text's lines, one after the other.
pub struct Lines {
    from: BufReader<Whole>,
    ends: Ends,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl Lines {
    /// The next one, in place of what `line` held; `false` at the end of the text.
    ///
    /// # Errors
    /// When the file cannot be read or unpacked.
    pub fn read(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        next_line(&mut self.from, self.ends, line)
    }
}

/// What ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// A line feed; a carriage return before it belongs to it.
    LineFeed,
    /// A carriage return, as on old Macs, or any of the others.
    Any,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Text {
    /// Opens the file at `path` for whoever reads no log of it: compression is seen through, and text alone goes on.
    ///
    /// # Errors
    /// When the file cannot be opened, is empty, or is no text; the error says what it is and what to do.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let Unpacked::Text(text, head) = unpacked(path)? else {
            return Err(LogError::refused(path, "is Parquet: write it as CSV or JSON lines"));
        };
        kind::binary(&head).map_or(Ok(text), |what| Err(LogError::refused(path, what)))
    }

    /// Its beginning, at least the first byte.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn head(&mut self) -> io::Result<&[u8]> {
        self.all.fill_buf()
    }

    /// All of it.
    #[must_use]
    pub fn into_reader(self) -> impl BufRead + 'static {
        self.all
    }

    /// Its lines, without what ends them; one of more than 1 MiB is cut, and a byte longer than that.
    #[must_use]
    pub fn into_lines(self) -> Lines {
        Lines { from: self.all, ends: self.ends }
    }

    /// A teller of progress: call it with each row's number.
    pub(super) fn teller<'p>(&self, progress: &'p mut dyn FnMut(Progress)) -> impl FnMut(u64) + use<'p> {
        let (read, size) = (Rc::clone(&self.read), self.size.max(1));
        move |rows| {
            if rows.is_multiple_of(PROGRESS_ROWS) {
                progress(Progress { rows, share: (read.get() as f64 / size as f64).min(1.0) });
            }
        }
    }
}

impl Source {
    /// Opens the log at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, LogError> {
        let (text, head) = match unpacked(path)? {
            Unpacked::Parquet(file) => return Ok(Self::Parquet(file)),
            Unpacked::Text(text, head) => (text, head),
        };
        match kind::foreign(&head) {
            Some(what) => Err(LogError::refused(path, what)),
            None if is_json(&head) => Ok(Self::JsonLines(text)),
            None => Ok(Self::Delimited(text)),
        }
    }
}

/// A file behind its compression.
enum Unpacked {
    Parquet(File),
    /// What is taken for text, and its first bytes.
    Text(Text, Vec<u8>),
}

/// Opens the file at `path`, and sees through its compression.
fn unpacked(path: &Path) -> Result<Unpacked, LogError> {
    let open = |source| LogError::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(open)?;
    let about = file.metadata().map_err(open)?;
    if about.is_dir() {
        return Err(LogError::refused(path, "is a folder: name a file in it"));
    }
    let raw = head(&mut file).map_err(open)?;
    if raw.starts_with(b"PAR1") {
        if !about.is_file() {
            return Err(LogError::refused(path, "is Parquet in a pipe: name the file, which is read from anywhere"));
        }
        io::Seek::rewind(&mut file).map_err(open)?;
        return Ok(Unpacked::Parquet(file));
    }
    let read = Rc::new(Cell::new(0));
    let counted = Counted { file: Cursor::new(raw.clone()).chain(file), read: Rc::clone(&read) };
    let counted = BufReader::with_capacity(BUFFER_BYTES, counted);
    let mut body: Box<dyn BufRead> = match raw.as_slice() {
        [0x1f, 0x8b, ..] => buffered(Members::new(counted)),
        // The second is a skippable frame, as pzstd writes first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            buffered(zstd::Decoder::with_buffer(counted).map_err(open)?)
        }
        _ => Box::new(counted),
    };
    let broken = |error| LogError::Read { path: path.to_owned(), rows: 0, detail: told(&error) };
    let mut first = head(&mut body).map_err(broken)?;
    if first.starts_with(b"\xef\xbb\xbf") {
        first.drain(..3);
    }
    if first.trim_ascii().is_empty() && first.len() < HEAD - 3 {
        return Err(LogError::Empty { path: path.to_owned() });
    }
    let ends = ends(&first);
    let all = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(first.clone()).chain(body));
    Ok(Unpacked::Text(Text { all, ends, read, size: about.len() }, first))
}

/// Whether one of the first lines is an object: the very first may be cut, or say something else.
fn is_json(head: &[u8]) -> bool {
    let lines = head.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty()).take(3);
    let is_first = lines.next().is_some_and(|line| line.starts_with(b"{"));
    is_first || lines.any(|line| line.starts_with(b"{\""))
}

/// Carriage returns end lines where one stands before the first line feed and not just before it.
fn ends(head: &[u8]) -> Ends {
    let first = head.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    let then = first.and_then(|at| head[at..].iter().find(|byte| **byte != b'\r'));
    match first {
        Some(at) if head[at] == b'\r' && then != Some(&b'\n') => Ends::Any,
        _ => Ends::LineFeed,
    }
}

/// Why unpacking broke off, and what to do.
pub fn told(error: &io::Error) -> String {
    let said = error.to_string();
    let has = |part: &str| said.to_ascii_lowercase().contains(part);
    if error.kind() == io::ErrorKind::UnexpectedEof || has("incomplete frame") {
        return "it is cut off there; copy or download it once more".to_owned();
    }
    if has("too much memory") {
        return "it was packed with a longer window than 128 MiB; unpack it with `zstd -d --long=31`".to_owned();
    }
    if has("unknown frame descriptor") || has("prefix") {
        return "something else follows the end of its zstd data; unpack it with `zstd -d`, and look at what that says"
            .to_owned();
    }
    if has("dictionary") {
        return "it was packed with a dictionary; unpack it with `zstd -d -D DICTIONARY`".to_owned();
    }
    if error.kind() == io::ErrorKind::InvalidInput || has("corrupt") || has("checksum") || has("data doesn't match") {
        return format!("it is damaged there ({said}); copy or download it once more");
    }
    said
}

/// Reads the next line without its end; `false` at the end of the text. Of one that is longer than [`ROW_BYTES`] so
/// much is kept and one byte more, which tells it.
pub(super) fn next_line(from: &mut impl BufRead, ends: Ends, line: &mut Vec<u8>) -> io::Result<bool> {
    let start = line.len();
    if ends == Ends::LineFeed {
        let read = from.by_ref().take(ROW_BYTES as u64 + 2).read_until(b'\n', line)?;
        // At the end of the file the last byte is of what was there before.
        if line.len() > start && line.last() == Some(&b'\n') {
            line.pop();
        } else if read > ROW_BYTES + 1 {
            from.skip_until(b'\n')?;
        }
        while line.len() > start && line.last() == Some(&b'\r') {
            line.pop();
        }
        line.truncate(start + ROW_BYTES + 1);
        return Ok(read > 0);
    }
    loop {
        let available = from.fill_buf()?;
        if available.is_empty() {
            return Ok(line.len() > start);
        }
        let end = available.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let length = end.unwrap_or(available.len());
        let room = (ROW_BYTES + 1).saturating_sub(line.len() - start);
        line.extend_from_slice(&available[..length.min(room)]);
        let was_return = end.is_some_and(|end| available[end] == b'\r');
        from.consume(length + usize::from(end.is_some()));
        if was_return && from.fill_buf()?.first() == Some(&b'\n') {
            from.consume(1);
        }
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn buffered(reader: impl Read + 'static) -> Box<dyn BufRead> {
    Box::new(BufReader::with_capacity(BUFFER_BYTES, reader))
}

/// The first bytes, as many as are looked at.
fn head(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    from.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Counts compressed bytes, for progress.
struct Counted<R> {
    file: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_takes_nothing_of_the_line_before_it() {
        let (mut from, mut held) = (BufReader::new(&b""[..]), b"a line\n".to_vec());
        assert!(!next_line(&mut from, Ends::LineFeed, &mut held).expect("reads"));
        assert_eq!(held, b"a line\n");
    }

    fn lines(text: &[u8], ends: Ends) -> Vec<String> {
        let read = |piece: usize| {
            let mut from = BufReader::with_capacity(piece, text);
            let mut lines = Vec::new();
            let mut line = Vec::new();
            while next_line(&mut from, ends, &mut line).expect("reads") {
                lines.push(String::from_utf8(std::mem::take(&mut line)).expect("UTF-8"));
            }
            lines
        };
        let first = read(1);
        assert!([2, 3, 1 << 20].into_iter().all(|piece| read(piece) == first));
        first
    }

    #[test]
    fn a_line_is_what_its_file_takes_for_one() {
        assert_eq!(lines(b"a\r\nb\r\r\n\nc\rd\ne", Ends::LineFeed), ["a", "b", "", "c\rd", "e"]);
        assert_eq!(lines(b"a\rb\r\n\rc\nd", Ends::Any), ["a", "b", "", "c", "d"]);
        assert_eq!(lines(b"a\n", Ends::LineFeed), ["a"]);
        assert_eq!(lines(b"a\r", Ends::Any), ["a"]);
        for (head, expected) in [
            (&b"a,b\r\nc"[..], Ends::LineFeed),
            (b"a,b\r\r\nc", Ends::LineFeed),
            (b"a,b\nc\rd\n", Ends::LineFeed),
            (b"a,b\rc\r", Ends::Any),
            (b"a,b\rc\n", Ends::Any),
            (b"a,b", Ends::LineFeed),
        ] {
            assert_eq!(ends(head), expected, "{head:?}");
        }
    }

    #[test]
    fn a_line_beyond_the_bound_tells_it_and_the_next_one_is_whole() {
        for ends in [Ends::LineFeed, Ends::Any] {
            for (length, kept) in
                [(ROW_BYTES, ROW_BYTES), (ROW_BYTES + 1, ROW_BYTES + 1), (3 * ROW_BYTES, ROW_BYTES + 1)]
            {
                let text = format!("{}\nb\n", "x".repeat(length));
                let lines = lines(text.as_bytes(), ends);
                assert_eq!((lines[0].len(), lines[1].as_str(), lines.len()), (kept, "b", 2), "{length}");
            }
        }
    }

    #[test]
    fn one_of_the_first_lines_tells_json() {
        assert!(is_json(b"\n {\"a\":1}\n") && is_json(b"r\": 5}\n{\"a\":1}\n") && is_json(b"{"));
        assert!(!is_json(b"a,b\n{x},1\n") && !is_json(b"") && !is_json(b"a\nb\nc\n{\"d\":1}"));
    }
}
