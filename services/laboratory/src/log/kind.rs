//! Tells by its first bytes what a file is that is no log, and what to do with it.

/// How many first bytes are looked at; a tar archive says what it is at 257.
pub(super) const HEAD: usize = 8 * 1024;

/// What starts with which bytes is what, and what to do.
const MAGIC: [(&[u8], &str, &str); 32] = [
    (b"PK\x03\x04", "a zip archive", "unpack it, and name a file from it"),
    (b"PK\x05\x06", "an empty zip archive", "there is nothing in it"),
    (b"PK\x07\x08", "a zip archive in parts", "unpack it, and name a file from it"),
    (b"\xfd7zXZ\0", "packed with xz", "unpack it with `xz -d`, or pack it with gzip or zstd"),
    (b"\x04\x22\x4d\x18", "packed with lz4", "unpack it with `lz4 -d`, or pack it with gzip or zstd"),
    (b"\x02\x21\x4c\x18", "packed with lz4", "unpack it with `lz4 -d`, or pack it with gzip or zstd"),
    (b"LZIP", "packed with lzip", "unpack it with `lzip -d`, or pack it with gzip or zstd"),
    (b"\x89LZO\0", "packed with lzop", "unpack it with `lzop -d`, or pack it with gzip or zstd"),
    (b"\x1f\x9d", "packed with compress", "unpack it with `gzip -d`"),
    (b"\xff\x06\0\0sNaPpY", "packed with snappy", "unpack it, or pack it with gzip or zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it, and name a file from it"),
    (b"Rar!\x1a\x07", "a rar archive", "unpack it, and name a file from it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Office file", "save the sheet as CSV in UTF-8"),
    (b"SQLite format 3\0", "an SQLite database", "write a table with `sqlite3 -header -csv FILE 'select …'`"),
    (b"Obj\x01", "an Avro file", "write it as JSON lines, such as by `avro-tools tojson`, or as Parquet"),
    (b"ARROW1", "an Arrow (Feather) file", "write it as Parquet or CSV"),
    (b"FEA1", "an old Feather file", "write it as Parquet or CSV"),
    (b"\xff\xff\xff\xff", "an Arrow stream or another binary file", "write it as Parquet or CSV"),
    (b"PARE", "a Parquet file whose footer is encrypted", "decrypt it first"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "write it as Parquet or CSV"),
    (b"\x93NUMPY", "a NumPy array", "write it as Parquet or CSV"),
    (b"\x80\x02", "a Python pickle", "write it as Parquet or CSV"),
    (b"\x80\x03", "a Python pickle", "write it as Parquet or CSV"),
    (b"\x80\x04", "a Python pickle", "write it as Parquet or CSV"),
    (b"\x80\x05", "a Python pickle", "write it as Parquet or CSV"),
    (b"%PDF", "a PDF", "write its table as CSV"),
    (b"\x1f\x8b", "packed twice", "unpack it once with `gzip -d`"),
    (b"\x28\xb5\x2f\xfd", "packed twice", "unpack it once with `zstd -d`"),
    (b"PAR1", "a packed Parquet file", "unpack it: Parquet is read from anywhere in the file"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch it with `git lfs pull`"),
    (b"\0\0\xfe\xff", "text in UTF-32", "convert it with `iconv -f UTF-32 -t UTF-8`"),
    (b"\xff\xfe\0\0", "text in UTF-32", "convert it with `iconv -f UTF-32 -t UTF-8`"),
];

/// Says what a file is by its `head`, when that is nothing a log can be read from.
pub(super) fn foreign(head: &[u8]) -> Option<String> {
    binary(head).or_else(|| {
        let text = text(head);
        let starts =
            |with: &str| text.get(..with.len()).is_some_and(|first| first.eq_ignore_ascii_case(with.as_bytes()));
        if starts("<!doctype html") || starts("<html") {
            say("a web page", "a log is CSV, JSON lines or Parquet")
        } else if starts("<?xml") || starts("<!") {
            say("XML", "a log is CSV, JSON lines or Parquet")
        } else if is_list(text) {
            say("one JSON array", "write one object a line, such as by `jq -c '.[]' FILE`")
        } else {
            None
        }
    })
}

fn say(what: &str, to_do: &str) -> Option<String> {
    Some(format!("is {what}: {to_do}"))
}

fn text(head: &[u8]) -> &[u8] {
    head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start()
}

/// The same, when it is no text in UTF-8, or something that is packed.
pub(super) fn binary(head: &[u8]) -> Option<String> {
    if head.starts_with(b"PK\x03\x04")
        && [&b"[Content_Types].xml"[..], b"opendocument"].iter().any(|part| holds(head, part))
    {
        return say("a workbook or another Office file", "save the sheet as CSV in UTF-8");
    }
    if let Some((_, what, to_do)) = MAGIC.iter().find(|(magic, ..)| head.starts_with(magic)) {
        return say(what, to_do);
    }
    if head.starts_with(b"BZh") && head.get(4..10).is_some_and(|b| b == b"1AY&SY" || b == b"\x17\x72\x45\x38\x50\x90") {
        return say("packed with bzip2", "unpack it with `bzip2 -d`, or pack it with gzip or zstd");
    }
    if head.starts_with(b"ORC") && head.iter().any(|byte| matches!(byte, 0..=8)) {
        return say("an ORC file", "write it as Parquet or CSV");
    }
    if is_tar(head) {
        return say("a tar archive", "unpack it with `tar -x`, and name a file from it");
    }
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || is_wide(head) {
        return say("text in UTF-16, as Excel writes \"Unicode text\"", "convert it with `iconv -f UTF-16 -t UTF-8`");
    }
    let text = text(head);
    let line = &text[..text.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(text.len())];
    if line.contains(&0) {
        return say("no text, for there are NUL bytes in its first line", "write it as CSV or JSON lines");
    }
    None
}

fn holds(head: &[u8], part: &[u8]) -> bool {
    head.windows(part.len()).any(|window| window == part)
}

/// A tar header's checksum is the sum of its bytes, with blanks in the checksum's place (POSIX.1, ustar).
fn is_tar(head: &[u8]) -> bool {
    let Some(block) = head.get(..512) else { return false };
    if &block[257..262] == b"ustar" {
        return true;
    }
    let stated = std::str::from_utf8(&block[148..156]).ok();
    let stated = stated.and_then(|text| u32::from_str_radix(text.trim_matches([' ', '\0']), 8).ok());
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    block[0] != 0 && stated == Some(sum(&block[..148]) + 8 * 32 + sum(&block[156..]))
}

/// Text in UTF-16 or UTF-32 without a mark: every other byte, or three of four, is zero.
fn is_wide(head: &[u8]) -> bool {
    let head = &head[..head.len().min(64)];
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let pairs = head.len() / 2;
    pairs >= 4 && (zeros(0) >= pairs - pairs / 8 || zeros(1) >= pairs - pairs / 8) && zeros(0) != zeros(1)
}

/// A JSON array, and not a header such as `[user],[item]`.
fn is_list(text: &[u8]) -> bool {
    let inner = text.strip_prefix(b"[").map(<[u8]>::trim_ascii_start);
    inner.is_some_and(|inner| matches!(inner.first(), Some(b'{' | b'[' | b'"' | b']')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_log_is_known_by_its_first_bytes_and_what_to_do_is_said() {
        let mut tar = vec![0; 512];
        tar[..7].copy_from_slice(b"log.csv");
        tar[257..262].copy_from_slice(b"ustar");
        let mut old_tar = tar.clone();
        old_tar[257..262].fill(0);
        let sum: u32 = old_tar.iter().map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
        old_tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let wide: Vec<u8> = "user,item,time\nu1,i1,5\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let wide_be: Vec<u8> = "user,item,time\nu1,i1,5\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (head, what) in [
            (&b"PK\x03\x04\x14\0log.csv"[..], "zip archive"),
            (b"PK\x03\x04\x14\0\x06\0[Content_Types].xml", "workbook"),
            (b"\xfd7zXZ\0\0", "xz -d"),
            (b"BZh91AY&SY\x01", "bzip2 -d"),
            (b"7z\xbc\xaf\x27\x1c\0", "7z archive"),
            (b"Rar!\x1a\x07\x01\0", "rar archive"),
            (b"SQLite format 3\0", "SQLite"),
            (b"Obj\x01\x04\x14", "Avro"),
            (b"ORC\x11\0\0\n", "ORC"),
            (b"ARROW1\0\0", "Arrow"),
            (&tar, "tar -x"),
            (&old_tar, "tar -x"),
            (b"\xff\xfeu\0s\0", "UTF-16"),
            (b"\xfe\xff\0u\0s", "UTF-16"),
            (&wide, "UTF-16"),
            (&wide_be, "UTF-16"),
            (b"\xff\xfe\0\0u\0\0\0", "UTF-32"),
            (b"\0\0\xfe\xff\0\0\0u", "UTF-32"),
            (b"\x1f\x8b\x08\0", "packed twice"),
            (b"us\0er,item\n", "NUL bytes"),
            (b"\xef\xbb\xbf<!DOCTYPE html>", "web page"),
            (b"<?xml version", "XML"),
            (b" [\n {\"user\": 1}", "jq -c '.[]'"),
            (b"[[1,2],[3,4]]", "jq -c '.[]'"),
        ] {
            let said = foreign(head).unwrap_or_default();
            assert!(said.starts_with("is ") && said.contains(what), "{what}: {said}");
        }
        for head in [
            &b""[..],
            b"user,item\n",
            b"\xef\xbb\xbfuser;item",
            b"{\"user\":1}",
            b"[user],[item]\n",
            b"<USER>,<ITEM>\n",
            b"BZh9,item\n",
            b"ORC,item\nu,i\n",
            b"caf\xe9,item\n",
            b"user,item\nu\0,i\n",
            b"a",
        ] {
            assert_eq!(foreign(head), None, "{head:?}");
        }
    }
}
