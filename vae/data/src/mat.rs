//! Lists of strings in MATLAB files (level 5). Stanford Dogs publishes its splits in this format.
//!
//! The header has 128 bytes: a text, then, at byte 124, the version 0x0100 and "IM", which means little-endian.
//! Elements follow. An element is its type and its length, two u32, then the data, padded to 8 bytes. An element of at
//! most 4 bytes may instead have its type and length as two u16 in one u32, followed by the data. Type 15 is an element
//! compressed with zlib, without padding. Type 14 is a matrix. Its data are again elements: flags (the first byte is
//! the class, 1 for a cell array and 4 for text), dimensions, name, and then the text as numbers or, in a cell array,
//! one matrix for each cell.
//!
//! Source: *MAT-File Format*, The MathWorks. The crate [`matfile`](https://docs.rs/matfile) reads numbers only, and
//! other readers need a C library.

use flate2::read::ZlibDecoder;
use vae_core::data::unpack;

const COMPRESSED: u32 = 15;
const MATRIX: u32 = 14;
const CELL: u8 = 1;
const TEXT: u8 = 4;

/// Returns the strings of the cell array with this name.
///
/// # Errors
/// Returns a message if `file` is not a MATLAB file of level 5, is damaged or cut off, or has no cell array of strings
/// with this name.
pub fn cell_strings(file: &[u8], name: &str) -> Result<Vec<String>, String> {
    if file.get(124..128) != Some(&[0x00, 0x01, b'I', b'M']) {
        let found = &file[file.len().min(124)..file.len().min(128)];
        return Err(format!(
            "is not a MATLAB file of level 5: has {found:02x?} at byte 124, expected [00, 01, 49, 4d]"
        ));
    }
    let mut rest = &file[128..];
    let mut left = unpack::max_unpacked_size(file.len()); // for all variables together
    while !rest.is_empty() {
        let found = match next_element(&mut rest)? {
            (COMPRESSED, packed) => {
                let bytes = unpack::unpack(ZlibDecoder::new(packed), left)?;
                left -= bytes.len() as u64;
                match next_element(&mut &bytes[..])? {
                    (MATRIX, matrix) => cell_array(matrix, name)?,
                    _ => None,
                }
            }
            (MATRIX, matrix) => cell_array(matrix, name)?,
            _ => None,
        };
        if let Some(words) = found {
            return Ok(words);
        }
    }
    Err(format!("contains no list {name}"))
}

/// Returns the strings of a matrix, or `None` if it is not the cell array with this name.
fn cell_array(mut matrix: &[u8], name: &str) -> Result<Option<Vec<String>>, String> {
    let (class, count, found) = matrix_header(&mut matrix)?;
    if class != CELL || found != name.as_bytes() {
        return Ok(None);
    }
    let mut words = Vec::new();
    while !matrix.is_empty() {
        let (_, mut word) = next_element(&mut matrix)?;
        let (class, letters, _) = matrix_header(&mut word)?;
        if class != TEXT {
            return Err(format!("{name}({}) is not text but of class {class}", words.len() + 1));
        }
        let (kind, data) = next_element(&mut word)?;
        let text = match kind {
            4 | 17 => char::decode_utf16(data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])))
                .collect::<Result<String, _>>()
                .ok(),
            1 | 2 | 16 => String::from_utf8(data.to_vec()).ok(),
            _ => None,
        };
        match text {
            Some(text) if text.chars().count() as u64 == letters => words.push(text),
            _ => return Err(format!("{name}({}) is not a line of text", words.len() + 1)),
        }
    }
    if words.len() as u64 != count {
        return Err(format!("contains {} strings in {name}, but its dimensions say {count}", words.len()));
    }
    Ok(Some(words))
}

/// Returns the class, the number of elements and the name of a matrix, and advances `matrix` past them.
fn matrix_header<'a>(matrix: &mut &'a [u8]) -> Result<(u8, u64, &'a [u8]), String> {
    let (_, flags) = next_element(matrix)?;
    let (_, dimensions) = next_element(matrix)?;
    let (_, name) = next_element(matrix)?;
    let sizes = dimensions.chunks_exact(4).map(|bytes| u64::from(u32::from_le_bytes(bytes.try_into().expect("four"))));
    let count = sizes.fold(1_u64, u64::saturating_mul);
    flags.first().map(|&class| (class, count, name)).ok_or("is damaged: a matrix without a class".into())
}

/// Returns the type and the data of the next element, and advances `rest` past it.
fn next_element<'a>(rest: &mut &'a [u8]) -> Result<(u32, &'a [u8]), String> {
    let cut = || "is cut off: an element extends past the end of the file; download it again".to_owned();
    let word = |at: usize| rest.get(at..at + 4).map(|b| u32::from_le_bytes(b.try_into().expect("four")));
    let first = word(0).ok_or_else(cut)?;
    let (kind, start, len) = match first >> 16 {
        0 => (first, 8, word(4).ok_or_else(cut)? as usize),
        len => (first & 0xffff, 4, len as usize),
    };
    let data = rest.get(start..).and_then(|data| data.get(..len)).ok_or_else(cut)?;
    let end = if kind == COMPRESSED { start + len } else { (start + len).next_multiple_of(8) };
    *rest = rest.get(end..).unwrap_or_default();
    Ok((kind, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists of three strings, written by `scipy.io.savemat` without and with `do_compression`.
    const PLAIN: &[u8] = include_bytes!("../tests/fixtures/list.mat");
    const PACKED: &[u8] = include_bytes!("../tests/fixtures/list-packed.mat");

    #[test]
    fn plain_and_packed_lists_are_read() {
        let files = [
            "n02085620-Chihuahua/n02085620_5927.jpg",
            "n02085620-Chihuahua/n02085620_4441.jpg",
            "n02116738-African_hunting_dog/n02116738_9818.jpg",
        ];
        for file in [PLAIN, PACKED] {
            assert_eq!(cell_strings(file, "file_list").unwrap(), files);
            assert_eq!(cell_strings(file, "annotation_list").unwrap()[2], files[2].trim_end_matches(".jpg"));
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let mut numbers = PLAIN.to_vec();
        let place = |needle: &[u8]| PLAIN.windows(needle.len()).position(|window| window == needle).unwrap();
        let dimensions = place(b"file_list") - 16; // [3, 1], before the name's tag
        numbers[dimensions..dimensions + 4].fill(0xff);
        let mut packed = PACKED.to_vec();
        packed[150] ^= 0x55;
        let mut long = PACKED.to_vec();
        long[132..136].copy_from_slice(&u32::MAX.to_le_bytes());
        for (file, says) in [
            (&PLAIN[..127], "not a MATLAB file of level 5"),
            (b"<html>", "not a MATLAB file"),
            (&PLAIN[..300], "cut off"),
            (&PACKED[..200], "cut off"),
            (&packed, "damaged"),
            (&long, "cut off"),
            (&numbers, "contains 3 strings in file_list, but its dimensions say 4294967295"),
            (&PLAIN[..128], "contains no list file_list"),
        ] {
            let message = cell_strings(file, "file_list").expect_err(says);
            assert!(message.contains(says), "{says}: {message}");
        }
        assert!(cell_strings(PLAIN, "labels").unwrap_err().contains("contains no list labels"));
    }

    /// An element, padded to 8 bytes. Up to four bytes of data are stored beside the type and the length.
    fn element(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = match data.len() {
            1..=4 => ((data.len() as u32) << 16 | kind).to_le_bytes().to_vec(),
            len => [kind, len as u32].map(u32::to_le_bytes).concat(),
        };
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    /// A matrix of a class, with these sizes, this name, and what follows.
    fn matrix(class: u8, sizes: [u32; 2], name: &str, rest: &[u8]) -> Vec<u8> {
        let (flags, sizes) = ([class, 0, 0, 0, 0, 0, 0, 0], sizes.map(u32::to_le_bytes).concat());
        let parts = [element(6, &flags), element(5, &sizes), element(1, name.as_bytes()), rest.to_vec()];
        element(MATRIX, &parts.concat())
    }

    fn file(elements: &[u8]) -> Vec<u8> {
        [&[b' '; 124][..], &[0x00, 0x01, b'I', b'M'], elements].concat()
    }

    /// Text is UTF-8 or UTF-16, and a short one is beside its type.
    #[test]
    fn texts_of_each_type_are_read() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for (kind, data, text, letters) in [
            (16, "ab".as_bytes().to_vec(), "ab", 2),
            (16, "long and ö".as_bytes().to_vec(), "long and ö", 10),
            (1, b"a".to_vec(), "a", 1),
            (2, b"abcd".to_vec(), "abcd", 4),
            (4, utf16("ö"), "ö", 1),
            (4, utf16("a long ö"), "a long ö", 8),
            (17, utf16("a long ö"), "a long ö", 8),
        ] {
            let cell = |letters: u32| matrix(TEXT, [1, letters], "", &element(kind, &data));
            let list = |letters: u32| file(&matrix(CELL, [1, 1], "list", &cell(letters)));
            assert_eq!(cell_strings(&list(letters), "list"), Ok(vec![text.to_owned()]), "type {kind}");
            let error = cell_strings(&list(letters + 1), "list").unwrap_err();
            assert_eq!(error, "list(1) is not a line of text");
        }
        let unknown = matrix(TEXT, [1, 1], "", &element(9, b"a"));
        assert!(cell_strings(&file(&matrix(CELL, [1, 1], "list", &unknown)), "list").is_err());
        let number = matrix(6, [1, 1], "", &element(9, &[0; 8]));
        let error = cell_strings(&file(&matrix(CELL, [1, 1], "list", &number)), "list").unwrap_err();
        assert_eq!(error, "list(1) is not text but of class 6");
    }

    /// All variables together may unpack to 64 times the size of the file and 4 MiB.
    #[test]
    fn the_unpacked_size_is_limited() {
        let zeros = element(9, &vec![0; 3 << 20]);
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packed, &zeros).unwrap();
        let packed = packed.finish().unwrap();
        let variable = [&[COMPRESSED, packed.len() as u32].map(u32::to_le_bytes).concat()[..], &packed].concat();
        let error = |count: usize| cell_strings(&file(&variable.repeat(count)), "list").unwrap_err();
        assert_eq!(error(1), "contains no list list");
        assert_ne!(error(2), "contains no list list");
    }

    #[test]
    fn cut_off_and_flipped_bytes_never_panic() {
        for file in [PLAIN, PACKED] {
            (0..file.len()).for_each(|end| drop(cell_strings(&file[..end], "labels")));
            for at in 128..file.len() {
                let mut hurt = file.to_vec();
                hurt[at] ^= 0xff;
                drop(cell_strings(&hurt, "file_list"));
            }
        }
    }
}
