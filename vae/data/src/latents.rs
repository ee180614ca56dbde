//! Reads what a model decodes from a NumPy file: latents, or indices of codes. `vae encode` writes such files.

use std::path::Path;

use tensor::Tensor;
use vae_core::{Error, Result};

use crate::npy::{Array, Outcome, read_arrays};

/// Numbers to decode.
#[derive(Clone, Debug)]
pub struct Latents {
    /// The latents, `[images, z_dim]`, or the indices of codes, `[images, rows, columns]`.
    pub z: Tensor,
    /// The label of each image, if the file has labels.
    pub labels: Option<Vec<i64>>,
    /// The name of each image, if the file has names.
    pub names: Option<Vec<String>>,
}

/// Reads latents of `z_dim` numbers each. They are the array of an `.npy` file, or the array `z` of an `.npz` file, or
/// its array `mu` if there is no `z`. The arrays `labels` and `names` of an `.npz` file are read as well.
///
/// # Errors
/// Returns an error if the file cannot be read, or contains no finite latents of shape `[images, z_dim]`.
pub fn read_latents(path: &Path, z_dim: usize) -> Result<Latents> {
    read_arrays(path, |name| ["", "z", "mu", "labels", "names"].contains(&name))
        .and_then(|arrays| latents(&arrays, z_dim))
        .map_err(|what| Error::file(path, what))
}

/// Reads the indices of codes at `side`×`side` positions. They are the array of an `.npy` file, or the array `codes` of an
/// `.npz` file: whole numbers below `codes`, `[images, side, side]`, or `[images, side·side]`.
///
/// # Errors
/// Returns an error if the file cannot be read, or contains no such array.
pub fn read_codes(path: &Path, codes: usize, side: usize) -> Result<Latents> {
    read_arrays(path, |name| ["", "codes", "labels", "names"].contains(&name))
        .and_then(|arrays| indices(&arrays, codes, side))
        .map_err(|what| Error::file(path, what))
}

/// Returns the first of the named arrays that is there.
fn find<'a>(arrays: &'a [Array], names: &[&str]) -> Outcome<&'a Array> {
    let found = names.iter().find_map(|name| arrays.iter().find(|array| array.name == *name));
    found.ok_or_else(|| {
        let names: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
        let wanted =
            if names.len() > 1 { format!("neither {}", names.join(" nor ")) } else { format!("no {}", names[0]) };
        let there: Vec<&str> = arrays.iter().map(|array| array.name.as_str()).collect();
        format!("contains {wanted}, but {}", if there.is_empty() { "nothing".into() } else { there.join(", ") })
    })
}

fn latents(arrays: &[Array], z_dim: usize) -> Outcome<Latents> {
    let array = find(arrays, &["", "z", "mu"])?;
    let shape = &array.header.shape;
    let count = match shape[..] {
        [count, width] if count > 0 && width == z_dim => count,
        _ => return Err(format!("contains latents of shape {shape:?}, but this model needs [images, {z_dim}]")),
    };
    let descr = &array.header.descr;
    let floats = array.floats().filter(|_| descr.starts_with("<f"));
    let floats = floats.ok_or_else(|| format!("contains latents of type {descr}, expected <f4 or <f8"))?;
    let z: Vec<f32> = floats.iter().map(|&x| x as f32).collect();
    if let Some(at) = z.iter().position(|x| !x.is_finite()) {
        return Err(format!("contains {} in row {}, but latents must be finite", z[at], at / z_dim));
    }
    Ok(with_labels_and_names(arrays, Tensor::new(&z, [count, z_dim])))
}

fn indices(arrays: &[Array], codes: usize, side: usize) -> Outcome<Latents> {
    let array = find(arrays, &["", "codes"])?;
    let shape = &array.header.shape;
    let count = match shape[..] {
        [count, rows, columns] if count > 0 && [rows, columns] == [side; 2] => count,
        [count, places] if count > 0 && places == side * side => count,
        _ => return Err(format!("contains codes of shape {shape:?}, but this model needs [images, {side}, {side}]")),
    };
    let descr = &array.header.descr;
    let floats = array.floats().filter(|_| !descr.starts_with("<f"));
    let floats = floats.ok_or_else(|| format!("contains codes of type {descr}, expected integers"))?;
    if let Some(at) = floats.iter().position(|x| !(0.0..codes as f64).contains(x)) {
        return Err(format!(
            "contains the code {} in image {}; codes are 0 to {}",
            floats[at],
            at / (side * side),
            codes - 1
        ));
    }
    let z: Vec<f32> = floats.iter().map(|&x| x as f32).collect(); // exact: `Config::check` keeps codes below 2²⁴
    Ok(with_labels_and_names(arrays, Tensor::new(&z, [count, side, side])))
}

/// Adds the labels and names, if there is one for each image.
fn with_labels_and_names(arrays: &[Array], z: Tensor) -> Latents {
    let count = z.shape()[0];
    let of = |name: &str| arrays.iter().find(|array| array.name == name && array.header.shape == [count]);
    let labels = of("labels").filter(|array| array.header.descr == "<i8");
    let labels = labels.and_then(|array| Some(array.floats()?.iter().map(|&label| label as i64).collect()));
    Latents { z, labels, names: of("names").and_then(Array::texts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy::{encode, encode_f32, encode_i64, encode_npz, encode_texts};

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn read(bytes: &[u8], z_dim: usize) -> Outcome<Latents> {
        read_latents(written(bytes).path(), z_dim).map_err(|error| error.to_string())
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
    fn names_are_read_if_there_is_one_for_each_image() {
        let z = ("z", encode_f32(&[2, 1], &[0.5, 1.5]));
        let names = |names: &[&str]| encode_texts(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let read = |names: Vec<u8>| read(&encode_npz(&[z.clone(), ("names", names)]), 1).unwrap().names;
        assert_eq!(read(names(&["a/ö.png", "b"])), Some(vec!["a/ö.png".to_owned(), "b".to_owned()]));
        assert_eq!(read(names(&["a", "b", "c"])), None);
        assert_eq!(read(encode_i64(&[2], &[1, 2])), None);
    }

    #[test]
    fn codes_are_whole_numbers_of_the_codebook_at_every_position() {
        let read = |bytes: &[u8]| read_codes(written(bytes).path(), 7, 2).map_err(|error| error.to_string());
        let numbers = [0, 6, 3, 3, 1, 2, 4, 5];
        let wanted = numbers.map(|x| x as f32);
        let codes = read(&encode_npz(&[("codes", encode_i64(&[2, 2, 2], &numbers))])).unwrap();
        assert_eq!((codes.z.data(), codes.z.shape()[2]), (&wanted[..], 2));
        let bytes = encode("|u1", &[2, 4], numbers.iter().map(|&x| x as u8));
        assert_eq!(read(&bytes).unwrap().z.data(), wanted);
        for (bytes, says) in [
            (encode_i64(&[1, 2, 2], &[0, 1, 7, 0]), "contains the code 7 in image 0; codes are 0 to 6"),
            (encode_i64(&[2, 4], &[0, 1, 2, 3, 4, 5, 6, -1]), "contains the code -1 in image 1"),
            (encode_f32(&[1, 2, 2], &[0.0; 4]), "of type <f4, expected integers"),
            (encode_i64(&[1, 3], &[0; 3]), "shape [1, 3], but this model needs [images, 2, 2]"),
            (encode_i64(&[0, 2, 2], &[]), "shape [0, 2, 2]"),
            (encode_i64(&[0, 4], &[]), "shape [0, 4]"),
            (encode_npz(&[("mu", encode_f32(&[1, 4], &[0.0; 4]))]), "contains no codes, but mu"),
        ] {
            assert!(read(&bytes).expect_err(says).contains(says), "{says}");
        }
    }

    #[test]
    fn files_without_latents_give_an_error_in_one_line() {
        let good = encode_f32(&[2, 3], &[0.0; 6]);
        let claims = |shape: &str| {
            let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
            [&b"\x93NUMPY\x01\x00"[..], &(text.len() as u16).to_le_bytes(), text.as_bytes(), &[0; 24]].concat()
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
