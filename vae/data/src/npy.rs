//! NumPy's files: one array (`.npy`), or a zip of named arrays (`.npz`).
//!
//! An `.npy` file is:
//!
//! ```text
//! "\x93NUMPY" 01 00    the length of the text as u16    the text    the numbers, little-endian, row after row
//! {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }        blanks and a newline, up to a multiple of 64 bytes
//! ```
//!
//! This is version 1.0 of `numpy.lib.format`. The text is a Python dictionary that NumPy always writes in this form.
//! Arrays of floating-point numbers (`<f4`, `<f8`), of integers and of text (`<U…`, four bytes for each character) are
//! read. We write `<f4`, `<i8` (i64) and `<U…`, without compression. The sizes
//! in a header are not trusted: memory is allocated only for the bytes that the file contains.
//!
//! The crate `npyz` would bring twenty more crates, and a parser of Python whose recursion is as deep as the brackets
//! in a file.

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read, Write};
use std::path::Path;

use vae_core::data::unpack::{LIMIT, max_unpacked_size, refuse_web_page};
use vae_core::{Error, Result};
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime, ZipArchive};

const MAGIC: &[u8; 8] = b"\x93NUMPY\x01\x00";
/// The first bytes of a zip file.
const ZIP: &[u8; 4] = b"PK\x03\x04";

pub(crate) type Outcome<T> = std::result::Result<T, String>;

/// The header of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type of the numbers, such as `<f4`.
    pub descr: String,
    /// Whether the numbers are stored column by column (Fortran order) instead of row by row (C order).
    pub fortran: bool,
    /// The shape; empty for a single number.
    pub shape: Vec<usize>,
}

impl Header {
    /// Parses the text of a header without blanks. Returns `None` if NumPy does not write such a text.
    fn parse(text: &str) -> Option<Header> {
        let rest = text.strip_prefix("{'descr':")?;
        let (descr, rest) = rest.split_once(",'fortran_order':")?;
        let (fortran, rest) = rest.split_once(",'shape':(")?;
        let (sizes, rest) = rest.split_once(')')?;
        let fortran = match fortran {
            "True" => true,
            "False" => false,
            _ => return None,
        };
        let sizes = sizes.strip_suffix(',').unwrap_or(sizes).split(',').filter(|size| !size.is_empty());
        let shape = sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?;
        let descr = descr.trim_matches('\'').to_owned();
        matches!(rest, "}" | ",}").then_some(Header { descr, fortran, shape })
    }

    /// Returns how many numbers the array has, or `None` if that overflows a usize.
    pub fn count(&self) -> Option<usize> {
        self.shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))
    }

    fn read(array: &mut impl Read) -> Outcome<Header> {
        let text = header_text(array).map_err(|error| error.to_string())?;
        Header::parse(&text).ok_or_else(|| format!("its header is {text}, which NumPy does not write"))
    }
}

/// Reads the header of an array. Returns its text without blanks; the numbers of the array are next in the reader.
pub(crate) fn header_text(array: &mut impl Read) -> std::io::Result<String> {
    let mut start = [0; 10];
    array.read_exact(&mut start)?;
    if start[..8] != *MAGIC {
        let what = format!("it starts with {:02x?}, so it is not a NumPy array of version 1", &start[..8]);
        return Err(std::io::Error::new(ErrorKind::InvalidData, what));
    }
    let mut text = vec![0; usize::from(u16::from_le_bytes([start[8], start[9]]))];
    array.read_exact(&mut text)?;
    Ok(String::from_utf8_lossy(&text).split_whitespace().collect())
}

/// Returns the name and the header of each array in a file. The name of the array in an `.npy` file is empty.
///
/// # Errors
/// Returns an error if the file cannot be read, or is not a NumPy file.
pub fn read_headers(path: &Path) -> Result<Vec<(String, Header)>> {
    let arrays = read_arrays(path, |_| false).map_err(|what| Error::file(path, what))?;
    Ok(arrays.into_iter().map(|array| (array.name, array.header)).collect())
}

/// Returns whether the first bytes of a file are those of an `.npy` or an `.npz` file.
pub fn is_numpy(start: &[u8]) -> bool {
    start.starts_with(&MAGIC[..6]) || start.starts_with(ZIP)
}

/// An array of a file.
pub(crate) struct Array {
    /// Its name; empty for the array of an `.npy` file.
    pub(crate) name: String,
    /// Its header.
    pub(crate) header: Header,
    /// The bytes of its numbers; empty if the array was not wanted.
    pub(crate) numbers: Vec<u8>,
}

impl Array {
    /// Returns the numbers as f64, or `None` if the array does not hold numbers. Integers beyond 2⁵³ are rounded.
    pub(crate) fn floats(&self) -> Option<Vec<f64>> {
        macro_rules! numbers {
            ($type:ty) => {{
                let chunks = self.numbers.chunks_exact(size_of::<$type>());
                chunks.map(|x| <$type>::from_le_bytes(x.try_into().expect("its size")) as f64).collect()
            }};
        }
        Some(match self.header.descr.as_str() {
            "<f4" => numbers!(f32),
            "<f8" => numbers!(f64),
            "|i1" => numbers!(i8),
            "<i2" => numbers!(i16),
            "<i4" => numbers!(i32),
            "<i8" => numbers!(i64),
            "|u1" => numbers!(u8),
            "<u2" => numbers!(u16),
            "<u4" => numbers!(u32),
            "<u8" => numbers!(u64),
            _ => return None,
        })
    }

    /// Returns the texts of an array of the type `<U…`, or `None` if it has another type. A character that is not valid
    /// becomes U+FFFD.
    pub(crate) fn texts(&self) -> Option<Vec<String>> {
        let width = text_width(&self.header.descr)?;
        let character = |x: &[u8]| u32::from_le_bytes(x.try_into().expect("four bytes"));
        let text = |bytes: &[u8]| -> String {
            let characters = bytes.chunks_exact(4).map(character).map(|c| char::from_u32(c).unwrap_or('\u{fffd}'));
            characters.collect::<String>().trim_end_matches('\0').to_owned()
        };
        Some(self.numbers.chunks_exact(4 * width).map(text).collect())
    }
}

/// Returns the number of characters of the type `<U…`.
fn text_width(descr: &str) -> Option<usize> {
    descr.strip_prefix("<U")?.parse().ok()
}

/// Returns the bytes that one element of a type takes, or `None` if arrays of this type are not read.
fn width(descr: &str) -> Option<usize> {
    match descr {
        "|i1" | "|u1" => Some(1),
        "<i2" | "<u2" => Some(2),
        "<f4" | "<i4" | "<u4" => Some(4),
        "<f8" | "<i8" | "<u8" => Some(8),
        _ => text_width(descr)?.checked_mul(4).filter(|&bytes| bytes > 0),
    }
}

/// Returns all arrays of a file, with the numbers of those whose name is `wanted`. The array of an `.npy` file has the
/// name "".
pub(crate) fn read_arrays(path: &Path, wanted: impl Fn(&str) -> bool) -> Outcome<Vec<Array>> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let data = std::fs::metadata(path).map_err(cannot)?;
    if !data.is_file() || data.len() > LIMIT {
        return Err(format!("is not a file of at most {LIMIT} bytes"));
    }
    let mut start = Vec::new();
    File::open(path).map_err(cannot)?.take(256).read_to_end(&mut start).map_err(cannot)?;
    refuse_web_page(&start, "an .npz")?;
    let mut file = BufReader::new(File::open(path).map_err(cannot)?);
    if start.starts_with(&MAGIC[..6]) {
        let header = Header::read(&mut file)?;
        let numbers = if wanted("") { numbers(file, &header, data.len())? } else { Vec::new() };
        return Ok(vec![Array { name: String::new(), header, numbers }]);
    }
    if !start.starts_with(ZIP) {
        let start = &start[..start.len().min(4)];
        return Err(format!("starts with the bytes {start:02x?}, so it is neither an .npy nor an .npz"));
    }
    let damaged = |error: zip::result::ZipError| format!("is not a complete .npz ({error}); create it again");
    let mut zip = ZipArchive::new(file).map_err(damaged)?;
    let mut arrays = Vec::new();
    let most = max_unpacked_size(data.len() as usize);
    for i in 0..zip.len() {
        let mut member = zip.by_index(i).map_err(damaged)?;
        let name = member.name().map_err(damaged)?.into_owned();
        let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else {
            return Err(format!("contains {name}, which is not a NumPy array"));
        };
        let of = |what: String| format!("contains {name}.npy: {what}");
        let header = Header::read(&mut member).map_err(of)?;
        let numbers = if wanted(&name) { numbers(member, &header, most).map_err(of)? } else { Vec::new() };
        arrays.push(Array { name, header, numbers });
    }
    Ok(arrays)
}

/// Reads the bytes of an array's numbers. Their count must match the header, and they must have at most `most` bytes.
fn numbers(array: impl Read, header: &Header, most: u64) -> Outcome<Vec<u8>> {
    let Some(width) = width(&header.descr) else {
        let descr = &header.descr;
        return Err(format!("its type is {descr}, but numbers are <f4, <f8 or integers: save z.astype(\"float32\")"));
    };
    if header.fortran {
        return Err("it is stored column by column, not row by row: save numpy.ascontiguousarray(z)".into());
    }
    let len = header.count().and_then(|count| count.checked_mul(width)).filter(|&len| len as u64 <= most);
    let len =
        len.ok_or_else(|| format!("its header says {:?}, which is more than such a file can hold", header.shape))?;
    let mut bytes = Vec::new();
    let read = array.take(len as u64 + 1).read_to_end(&mut bytes).map_err(|error| format!("it is damaged: {error}"))?;
    match read.cmp(&len) {
        std::cmp::Ordering::Less => Err(format!("it is cut off: {read} bytes of {:?}, expected {len}", header.shape)),
        std::cmp::Ordering::Equal => Ok(bytes),
        std::cmp::Ordering::Greater => Err(format!("it has more bytes than the {len} that {:?} needs", header.shape)),
    }
}

/// Returns an array of f32 as the bytes of an `.npy` file.
pub fn encode_f32(shape: &[usize], numbers: &[f32]) -> Vec<u8> {
    encode("<f4", shape, numbers.iter().flat_map(|x| x.to_le_bytes()))
}

/// Returns an array of i64 as the bytes of an `.npy` file.
pub fn encode_i64(shape: &[usize], numbers: &[i64]) -> Vec<u8> {
    encode("<i8", shape, numbers.iter().flat_map(|x| x.to_le_bytes()))
}

/// Returns an array of texts, `[texts]`, as the bytes of an `.npy` file. Its type is `<U` and the length of the longest
/// text, so NumPy reads it without `allow_pickle`.
pub fn encode_texts(texts: &[String]) -> Vec<u8> {
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let padded = texts.iter().flat_map(|text| text.chars().chain(std::iter::repeat('\0')).take(width));
    encode(&format!("<U{width}"), &[texts.len()], padded.flat_map(|c| u32::from(c).to_le_bytes()))
}

pub(crate) fn encode(descr: &str, shape: &[usize], numbers: impl Iterator<Item = u8>) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let sizes = if shape.len() > 1 { sizes.trim_end_matches(", ") } else { sizes.trim_end() };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    text += &" ".repeat(63 - (10 + text.len()) % 64);
    text.push('\n');
    let mut bytes = [MAGIC, &(text.len() as u16).to_le_bytes()[..], text.as_bytes()].concat();
    bytes.extend(numbers);
    bytes
}

/// Returns the bytes of an `.npz` file, from names and the bytes of `.npy` files.
pub fn encode_npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default()) // equal arrays give equal bytes
        .large_file(arrays.iter().any(|(_, bytes)| bytes.len() > 1 << 31));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), options).expect("in memory");
        zip.write_all(bytes).expect("in memory");
    }
    zip.finish().expect("in memory").into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with what `numpy.save` wrote for `numpy.array([[1, 2, 3], [4, 5, -6.5]], "float32")` and
    /// `numpy.zeros(7, "int64")`.
    #[test]
    fn an_array_is_written_as_numpy_writes_it() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        let theirs = [&b"\x93NUMPY\x01\x00\x76\x00"[..], format!("{text:<117}\n").as_bytes()].concat();
        let ours = encode_f32(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, -6.5]);
        assert_eq!(ours[..128], theirs);
        assert_eq!(ours[128..][20..], (-6.5_f32).to_le_bytes());
        let text = "{'descr': '<i8', 'fortran_order': False, 'shape': (7,), }";
        assert_eq!(encode_i64(&[7], &[0; 7])[10..128], *format!("{text:<117}\n").as_bytes());
    }

    /// Compares with what `numpy.save` wrote for `numpy.array(["a", "µm", ""])`.
    #[test]
    fn texts_are_written_as_numpy_writes_them() {
        let texts = ["a", "µm", ""].map(str::to_owned);
        let bytes = encode_texts(&texts);
        let text = "{'descr': '<U2', 'fortran_order': False, 'shape': (3,), }";
        assert_eq!(bytes[10..128], *format!("{text:<117}\n").as_bytes());
        let characters = [u32::from(b'a'), 0, 0xb5, u32::from(b'm'), 0, 0];
        assert_eq!(bytes[128..], characters.map(u32::to_le_bytes).concat());
        assert!(String::from_utf8_lossy(&encode_texts(&[])).contains("'<U1', 'fortran_order': False, 'shape': (0,)"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let read = read_arrays(file.path(), |_| true).unwrap();
        assert_eq!((read[0].texts().unwrap(), read[0].floats()), (texts.to_vec(), None));
        let empty = encode("<U0", &[3], std::iter::empty());
        std::fs::write(file.path(), empty).unwrap();
        assert!(read_arrays(file.path(), |_| true).is_err(), "three texts without a character");
    }

    #[test]
    fn numbers_of_every_type_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (descr, bytes) in [
            ("|i1", vec![0xfe, 7]),
            ("<i2", [-2_i16, 7].map(i16::to_le_bytes).concat()),
            ("<i4", [-2_i32, 7].map(i32::to_le_bytes).concat()),
            ("<i8", [-2_i64, 7].map(i64::to_le_bytes).concat()),
            ("<f4", [-2_f32, 7.0].map(f32::to_le_bytes).concat()),
            ("<f8", [-2_f64, 7.0].map(f64::to_le_bytes).concat()),
        ] {
            std::fs::write(file.path(), encode(descr, &[2], bytes.into_iter())).unwrap();
            assert_eq!(read_arrays(file.path(), |_| true).unwrap()[0].floats(), Some(vec![-2.0, 7.0]), "{descr}");
        }
        for (descr, bytes) in [
            ("|u1", vec![200, 7]),
            ("<u2", vec![200, 0, 7, 0]),
            ("<u4", [200_u32, 7].map(u32::to_le_bytes).concat()),
            ("<u8", [200_u64, 7].map(u64::to_le_bytes).concat()),
        ] {
            std::fs::write(file.path(), encode(descr, &[2], bytes.into_iter())).unwrap();
            assert_eq!(read_arrays(file.path(), |_| true).unwrap()[0].floats(), Some(vec![200.0, 7.0]), "{descr}");
        }
    }

    #[test]
    fn headers_are_read_without_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let [one, two] = [encode_f32(&[2, 3], &[1.0; 6]), encode_i64(&[4], &[7; 4])];
        let header =
            |descr: &str, shape: &[usize]| Header { descr: descr.into(), fortran: false, shape: shape.to_vec() };
        for (bytes, expected) in [
            (one.clone(), vec![(String::new(), header("<f4", &[2, 3]))]),
            (
                encode_npz(&[("b", one.clone()), ("a", two)]),
                vec![("b".to_owned(), header("<f4", &[2, 3])), ("a".to_owned(), header("<i8", &[4]))],
            ),
        ] {
            assert!(is_numpy(&bytes));
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read_headers(&path).unwrap(), expected);
        }
        assert!(![&b""[..], b"PK", b"<html>", &one[1..]].into_iter().any(is_numpy));
        assert!(read_headers(dir.path()).unwrap_err().to_string().contains("is not a file of at most"));
        let file = File::create(&path).unwrap();
        for (len, says) in [(LIMIT, "starts with the bytes [00, 00, 00, 00]"), (LIMIT + 1, "is not a file of at most")]
        {
            file.set_len(len).unwrap(); // zeros that need no room on the disk
            assert!(read_headers(&path).unwrap_err().to_string().contains(says), "{len}");
        }
    }

    /// Sizes of more than 32 bits need an extension of the format (version 45), which not every reader knows.
    #[test]
    fn small_archives_are_plain() {
        let bytes = encode_npz(&[("a", encode_f32(&[1], &[1.0]))]);
        assert!(u16::from_le_bytes([bytes[4], bytes[5]]) < 45, "{:?}", &bytes[..8]);
    }

    #[test]
    fn only_headers_in_numpys_form_are_accepted() {
        let parse = |text: &str| Header::parse(text);
        let header = parse("{'descr':'<f4','fortran_order':True,'shape':(),}").unwrap();
        assert_eq!((header.count(), header.fortran), (Some(1), true));
        assert_eq!(parse("{'descr':'|O','fortran_order':False,'shape':(5,)}").unwrap().shape, [5]);
        for bad in [
            "",
            "{'descr':'<f4','fortran_order':Maybe,'shape':(),}",
            "{'descr':'<f4','fortran_order':True,'shape':(a,),}",
            "{'descr':'<f4','fortran_order':True,'shape':(1,2),'more':1}",
            "{'descr':'<f4','fortran_order':True,'shape':(-1,),}",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
