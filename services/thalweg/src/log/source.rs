//! Opens a file, sees through its compression and tells its format: by content, never by extension.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::rc::Rc;

use super::{LogError, Progress};

/// A row of text that is longer is no row, and memory does not grow by it.
pub(super) const ROW_BYTES: usize = 1 << 20;

/// The longest first line that is looked at to tell the format.
const HEADER_BYTES: u64 = 1 << 20;

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
    /// CSV or its tab, semicolon and pipe cousins, with a header line.
    Delimited(Text),
}

/// The first line put back before the rest.
type Whole = Chain<Cursor<Vec<u8>>, Box<dyn BufRead>>;

/// Decompressed text and its first line.
pub(super) struct Text {
    /// The first line that is not blank, without a byte order mark, with its line end.
    pub(super) first: Vec<u8>,
    /// All of it, the first line included.
    pub(super) all: BufReader<Whole>,
    read: Rc<Cell<u64>>,
    size: u64,
}

impl Text {
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
        let open = |source| LogError::Open { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(open)?;
        let size = file.metadata().map_err(open)?.len();
        let mut magic = [0; 4];
        let got = read_up_to(&mut file, &mut magic).map_err(open)?;
        io::Seek::rewind(&mut file).map_err(open)?;

        if &magic[..got] == b"PAR1" {
            return Ok(Self::Parquet(file));
        }
        let read = Rc::new(Cell::new(0));
        let counted = BufReader::with_capacity(BUFFER_BYTES, Counted { file, read: Rc::clone(&read) });
        let mut body: Box<dyn BufRead> = match magic {
            [0x1f, 0x8b, ..] => buffered(flate2::bufread::MultiGzDecoder::new(counted)),
            [0x28, 0xb5, 0x2f, 0xfd] => buffered(zstd::Decoder::with_buffer(counted).map_err(open)?),
            _ => Box::new(counted),
        };

        let broken = |error: io::Error| LogError::Read { path: path.to_owned(), rows: 0, detail: error.to_string() };
        let mut first = Vec::new();
        while first.trim_ascii().is_empty() {
            first.clear();
            if body.by_ref().take(HEADER_BYTES).read_until(b'\n', &mut first).map_err(broken)? == 0 {
                return Err(LogError::Empty { path: path.to_owned() });
            }
            if let Some(rest) = first.strip_prefix(b"\xef\xbb\xbf") {
                first = rest.to_vec();
            }
        }
        let json = first.trim_ascii_start().starts_with(b"{");
        let all = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(first.clone()).chain(body));
        let text = Text { first, all, read, size };
        Ok(if json { Self::JsonLines(text) } else { Self::Delimited(text) })
    }
}

fn buffered(reader: impl Read + 'static) -> Box<dyn BufRead> {
    Box::new(BufReader::with_capacity(BUFFER_BYTES, reader))
}

/// Fills as much of `buffer` as the file gives.
fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read(&mut buffer[got..])? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

/// Counts compressed bytes, for progress.
struct Counted {
    file: File,
    read: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.set(self.read.get() + n as u64);
        Ok(n)
    }
}
