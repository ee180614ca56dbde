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
//! Latents are read from arrays of `<f4` (f32) and `<f8` (f64). We write `<f4` and `<i8` (i64), without compression.
//! The sizes in a header are not trusted: memory is allocated only for the bytes that the file contains.
//!
//! The crate `npyz` would bring twenty more crates, and a parser of Python whose recursion is as deep as the brackets
//! in a file.

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read, Write};
use std::path::Path;

use tensor::Tensor;
use vae_core::data::unpack::{LIMIT, max_unpacked_size, refuse_web_page};
use vae_core::{Error, Result};
use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime, ZipArchive};

const MAGIC: &[u8; 8] = b"\x93NUMPY\x01\x00";
/// The first bytes of a zip file.
const ZIP: &[u8; 4] = b"PK\x03\x04";

type Outcome<T> = std::result::Result<T, String>;

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

/// Latents to decode.
#[derive(Clone, Debug)]
pub struct Latents {
    /// The latents, `[images, z_dim]`.
    pub z: Tensor,
    /// The label of each image, if the file has labels.
    pub labels: Option<Vec<i64>>,
}

/// Reads latents of `z_dim` numbers each. They are the array of an `.npy` file, or the array `z` of an `.npz` file, or
/// its array `mu` if there is no `z`. The array `labels` of an `.npz` file is read as well, if there is one.
///
/// # Errors
/// Returns an error if the file cannot be read, or contains no finite latents of shape `[images, z_dim]`.
pub fn read_latents(path: &Path, z_dim: usize) -> Result<Latents> {
    read_arrays(path, |name| ["z", "mu", "labels"].contains(&name))
        .and_then(|arrays| latents(arrays, z_dim))
        .map_err(|what| Error::file(path, what))
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

struct Array {
    name: String,
    header: Header,
    /// The bytes of the numbers; empty if the array was not requested.
    numbers: Vec<u8>,
}

/// Returns all arrays of a file, with the numbers of those whose name is `wanted`. The array of an `.npy` file has the
/// name "", and its numbers are read if `z` is wanted.
fn read_arrays(path: &Path, wanted: impl Fn(&str) -> bool) -> Outcome<Vec<Array>> {
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
        let numbers = if wanted("z") { numbers(file, &header, data.len())? } else { Vec::new() };
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
    let width = match header.descr.as_str() {
        "<f4" => 4,
        "<f8" | "<i8" => 8,
        descr => return Err(format!("its numbers are {descr}, expected <f4 or <f8: save z.astype(\"float32\")")),
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

fn latents(arrays: Vec<Array>, z_dim: usize) -> Outcome<Latents> {
    let find = |name: &str| arrays.iter().find(|array| array.name == name);
    let Some(array) = find("").or_else(|| find("z")).or_else(|| find("mu")) else {
        let names: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
        return Err(format!(
            "contains neither z nor mu, but {}",
            if names.is_empty() { "nothing".into() } else { names.join(", ") }
        ));
    };
    let shape = &array.header.shape;
    let count = match shape[..] {
        [count, width] if count > 0 && width == z_dim => count,
        _ => return Err(format!("contains latents of shape {shape:?}, but this model needs [images, {z_dim}]")),
    };
    let z: Vec<f32> = match array.header.descr.as_str() {
        "<f4" => array.numbers.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().expect("four"))).collect(),
        "<f8" => {
            array.numbers.chunks_exact(8).map(|x| f64::from_le_bytes(x.try_into().expect("eight")) as f32).collect()
        }
        descr => return Err(format!("contains latents of type {descr}, expected <f4 or <f8")),
    };
    if let Some(at) = z.iter().position(|x| !x.is_finite()) {
        return Err(format!("contains {} in row {}, but latents must be finite", z[at], at / z_dim));
    }
    let labels = find("labels").filter(|array| array.header.descr == "<i8" && array.header.shape == [count]);
    let labels = labels
        .map(|array| array.numbers.chunks_exact(8).map(|x| i64::from_le_bytes(x.try_into().expect("eight"))).collect());
    Ok(Latents { z: Tensor::new(&z, [count, z_dim]), labels })
}

/// Returns an array of f32 as the bytes of an `.npy` file.
pub fn encode_f32(shape: &[usize], numbers: &[f32]) -> Vec<u8> {
    encode("<f4", shape, numbers.iter().flat_map(|x| x.to_le_bytes()))
}

/// Returns an array of i64 as the bytes of an `.npy` file.
pub fn encode_i64(shape: &[usize], numbers: &[i64]) -> Vec<u8> {
    encode("<i8", shape, numbers.iter().flat_map(|x| x.to_le_bytes()))
}

fn encode(descr: &str, shape: &[usize], numbers: impl Iterator<Item = u8>) -> Vec<u8> {
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

    fn read(bytes: &[u8], z_dim: usize) -> Outcome<Latents> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_latents(file.path(), z_dim).map_err(|error| error.to_string())
    }

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

    #[test]
    fn latents_are_read_from_each_kind_of_file() {
        let numbers = [1.0, 2.0, 3.0, 4.0, 5.0, -6.5];
        let array = encode_f32(&[2, 3], &numbers);
        let plain = read(&array, 3).unwrap();
        assert_eq!((plain.z.data(), plain.z.shape()[0], plain.labels), (&numbers[..], 2, None));
        let all = [("logvar", encode_f32(&[1], &[0.0])), ("mu", array), ("labels", encode_i64(&[2], &[7, -1]))];
        let codes = read(&encode_npz(&all), 3).unwrap();
        assert_eq!((codes.z.data(), codes.labels), (&numbers[..], Some(vec![7, -1])));
        let both = [&all[..], &[("z", encode_f32(&[1, 3], &[9.0; 3]))]].concat();
        assert_eq!(read(&encode_npz(&both), 3).unwrap().z.data(), [9.0; 3], "z goes before mu");
        let doubles = encode("<f8", &[1, 2], [0.5_f64, -2.0].iter().flat_map(|x| x.to_le_bytes()));
        assert_eq!(read(&doubles, 2).unwrap().z.data(), [0.5, -2.0]);
        assert_eq!(encode_npz(&all), encode_npz(&all));
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

    #[test]
    fn files_without_latents_give_an_error_in_one_line() {
        let good = encode_f32(&[2, 3], &[0.0; 6]);
        let claims = |shape: &str| {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            [&MAGIC[..], &(text.len() as u16).to_le_bytes(), text.as_bytes(), &[0; 24]].concat()
        };
        let turned = String::from_utf8_lossy(&good[10..128]).replace("False", "True ").into_bytes();
        for (bytes, says) in [
            (good[..good.len() - 1].to_vec(), "cut off: 23 bytes of [2, 3], expected 24"),
            ([&good[..], &[0]].concat(), "more bytes than the 24"),
            (encode_f32(&[2, 2], &[0.0; 4]), "shape [2, 2], but this model needs [images, 3]"),
            (encode_f32(&[6], &[0.0; 6]), "shape [6], but this model needs [images, 3]"),
            (encode_f32(&[0, 3], &[]), "shape [0, 3]"),
            (encode_f32(&[1, 3], &[0.0, f32::NAN, 0.0]), "contains NaN in row 0"),
            (encode_i64(&[1, 3], &[0; 3]), "of type <i8"),
            (claims("(1000000000000, 3)"), "more than such a file can hold"),
            (claims("(18446744073709551615, 3)"), "more than such a file can hold"),
            ([&good[..10], &turned, &good[128..]].concat(), "ascontiguousarray"),
            (encode_npz(&[("x", good.clone())]), "neither z nor mu, but x"),
            (encode_npz(&[("mu", b"no array at all".to_vec())]), "contains mu.npy: it starts with"),
            (encode_npz(&[("z", good.clone())])[..90].to_vec(), "not a complete .npz"),
            (b"<html>".to_vec(), "is a web page"),
            (b"".to_vec(), "starts with the bytes []"),
        ] {
            let error = read(&bytes, 3).expect_err(says);
            assert!(error.contains(says) && !error.contains('\n'), "{says}: {error}");
        }
    }
}
