//! Reads gzip as `gzip -d` does: member after member, and zeros behind the last one are nothing.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Decompresses all members of a file.
pub(super) struct Members<R: BufRead> {
    at: At<R>,
}

enum At<R: BufRead> {
    Member(Box<GzDecoder<R>>),
    /// Behind the last one, or after an error.
    End,
}

impl<R: BufRead> Members<R> {
    pub(super) fn new(from: R) -> Self {
        Self { at: At::Member(Box::new(GzDecoder::new(from))) }
    }

    /// The next member behind one that is over.
    fn next(mut from: R) -> io::Result<At<R>> {
        let mut padded = false;
        loop {
            let next = from.fill_buf()?;
            let zeros = next.iter().take_while(|byte| **byte == 0).count();
            match next.get(zeros) {
                None if zeros == 0 => return Ok(At::End),
                None => {
                    padded = true; // all zeros so far
                    from.consume(zeros);
                }
                Some(0x1f) if zeros == 0 && !padded => return Ok(At::Member(Box::new(GzDecoder::new(from)))),
                Some(_) => {
                    let what = "something else follows the end of its gzip data; unpack it with `gzip -d`, which passes \
                                over that";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let At::Member(member) = &mut self.at {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let At::Member(member) = std::mem::replace(&mut self.at, At::End) else { break };
            self.at = Self::next(member.into_inner())?;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).expect("writes");
        encoder.finish().expect("writes")
    }

    /// What is read, in pieces of every size.
    fn read(bytes: &[u8]) -> Result<String, String> {
        let read = |piece: usize| {
            let mut text = String::new();
            let from = io::BufReader::with_capacity(piece, bytes);
            Members::new(from).read_to_string(&mut text).map(|_| text).map_err(|error| error.to_string())
        };
        let first = read(1);
        assert!([2, 7, 1 << 16].into_iter().all(|piece| read(piece) == first));
        first
    }

    #[test]
    fn members_are_one_text_and_zeros_behind_them_are_nothing() {
        assert_eq!(read(&[gz("a,b\n"), gz(""), gz("c,d\n")].concat()).as_deref(), Ok("a,b\nc,d\n"));
        assert_eq!(read(&[gz("a,b\n"), vec![0; 700]].concat()).as_deref(), Ok("a,b\n"));
    }

    #[test]
    fn what_follows_the_end_is_named_and_a_cut_is_an_error() {
        for behind in [&b"tail"[..], b"\0\0tail", b"\0\x1f\x8b"] {
            let error = read(&[&gz("a,b\n"), behind].concat()).expect_err("is refused");
            assert!(error.contains("follows the end") && error.contains("gzip -d"), "{error}");
        }
        let whole = gz("a,b\n");
        assert!(read(&whole[..whole.len() - 3]).is_err());
    }
}
