//! Small valid files of every format, following the published layouts, and malicious files.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, RgbaImage};
use pollster::block_on;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::readers;

/// Records in a file of CIFAR-10.
pub(crate) const CIFAR10: usize = 2;
/// Images in the files of STL-10: labelled, unlabelled, test.
pub(crate) const STL10: [usize; 3] = [1, 1, 2];
/// Images in a file of dSprites.
pub(crate) const DSPRITES: usize = 3;

/// Elements per row of an array of latents.
pub(crate) const LATENTS: usize = 2;

const LIST: &[u8] = include_bytes!("../../vae/data/tests/fixtures/list.mat");
const PACKED_LIST: &[u8] = include_bytes!("../../vae/data/tests/fixtures/list-packed.mat");
const CMYK: &[u8] = include_bytes!("../../vae/data/tests/fixtures/cmyk.jpg");
const GREY: &[u8] = include_bytes!("../../vae/data/tests/fixtures/grey.jpg");
const LOSSY: &[u8] = include_bytes!("../../vae/data/tests/fixtures/turned.webp");

/// A valid file before it is compressed or gets its checksums. Mutations at this point reach the inner layers of a reader.
pub(crate) struct Source {
    pub(crate) bytes: Vec<u8>,
    pub(crate) finish: fn(Vec<u8>) -> Vec<u8>,
}

fn plain(files: Vec<Vec<u8>>) -> Vec<Source> {
    files.into_iter().map(|bytes| Source { bytes, finish: |bytes| bytes }).collect()
}

fn made(files: Vec<Vec<u8>>, finish: fn(Vec<u8>) -> Vec<u8>) -> Vec<Source> {
    files.into_iter().map(|bytes| Source { bytes, finish }).collect()
}

fn both(files: Vec<Vec<u8>>, finish: fn(Vec<u8>) -> Vec<u8>) -> Vec<Source> {
    let whole = files.iter().map(|bytes| finish(bytes.clone())).collect();
    plain(whole).into_iter().chain(made(files, finish)).collect()
}

/// Valid files for a reader, which accepts each of them.
pub(crate) fn sources(reader: &str) -> Vec<Source> {
    match reader {
        "idx" => [plain(idx_files()), both(idx_files(), |bytes| gzip(&bytes))].into_iter().flatten().collect(),
        "amat" => plain(vec![amat()]),
        "cifar10" => plain(vec![(0..CIFAR10 * 3073).map(|i| if i % 3073 == 0 { 7 } else { i as u8 }).collect()]),
        "stl10" => plain(stl10().into_iter().take(2).map(|(_, bytes)| bytes).collect()),
        "dsprites" => {
            let images = both(vec![npy_images()], |images| npz(&images, &npy_classes(), true));
            let classes = both(vec![npy_classes()], |classes| npz(&npy_images(), &classes, false));
            [images, classes].into_iter().flatten().collect()
        }
        "npz" => {
            let packed = both(vec![npy_latents()], |latents| npz_latents(&latents));
            [plain(vec![npy_latents()]), packed].into_iter().flatten().collect()
        }
        "mat" => {
            let inside = made(vec![LIST[128..].to_vec()], |elements| [&LIST[..128], &packed(&elements)].concat());
            [plain(vec![LIST.to_vec(), PACKED_LIST.to_vec()]), inside].into_iter().flatten().collect()
        }
        "voc" => plain(vec![voc()]),
        "celeba" => plain(vec![b"000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n000004.jpg 0\n".to_vec()]),
        "picture" => [plain(jpegs()), both(pngs(), mend_png), plain(webps_and_bmps())].into_iter().flatten().collect(),
        "config" => {
            let recipes = vae::recipe::RECIPES.iter().map(|recipe| recipe.toml.as_bytes().to_vec());
            plain(recipes.chain([vae::config::Config::default().to_toml().into_bytes()]).collect())
        }
        "state" => both(vec![state(None), state(Some(("config", "seed = 9223372036854775807")))], mend_header),
        "info" => {
            let checkpoint = state(Some(("checkpoint", CHECKPOINT)));
            both(vec![state(None), state(Some(("note", "by somebody else"))), checkpoint], mend_header)
        }
        "encoder" => {
            let model = vae::learn::build(&readers::encoder_config());
            both(vec![block_on(nn::state::save(&*model, &[])).expect("on the CPU")], mend_header)
        }
        "tar" => both(vec![tar()], mend_tar),
        "tar_gz" => both(vec![tar()], |bytes| gzip(&mend_tar(bytes))),
        _ => panic!("no reader is called {reader}"),
    }
}

/// Tokens with a meaning for a reader.
pub(crate) fn words(reader: &str) -> &'static [&'static str] {
    match reader {
        "dsprites" => {
            &["PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "PK\x06\x06", "imgs.npy", "(3, 64, 64)", "<i8", "|u1"]
        }
        "npz" => &["PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "z.npy", "(3, 2)", "<f8", "<i8", "True", "(", "9"],
        "mat" => &["\x0e\0\0\0", "\x0f\0\0\0", "file_list", "\x01\0\x04\0"],
        "voc" => &[
            "<!DOCTYPE a [<!ENTITY b 'c'>]>",
            "&b;",
            "<object>",
            "</object>",
            "<bndbox",
            " a='b'",
            "<![CDATA[",
            "<!--",
        ],
        "amat" => &["0 ", "1\n", "\n\n", "2", "0.5 ", "01 ", "\r\n", "<html>"],
        "celeba" => &["../", "/", "\0", "000001.jpg", " 3", "\n\n", "\u{2028}"],
        "picture" => &[
            "\u{0}\u{0}\u{0}\u{1}",
            "IDAT",
            "PLTE",
            "tRNS",
            "acTL",
            "fcTL",
            "iCCP",
            "zTXt",
            "eXIf",
            "Exif\u{0}\u{0}",
            "EXIF",
            "VP8 ",
            "VP8L",
            "VP8X",
            "ALPH",
            "ANIM",
            "ANMF",
        ],
        "config" => {
            &["[", "]", "{", "=", ".", "\"", "'''", "\\u0000", "\"a\\nb\" = 1\n", "[[a]]\n", "1e999", "nan", "a.b.c"]
        }
        "state" | "encoder" | "info" => {
            &["{", "}", "[", "\"", "\"F64\"", "\"F4\"", "[0,0]", "\\u0000", "\\n", "\"__metadata__\":"]
        }
        "tar" | "tar_gz" => &["../", "/etc/", "ustar", "L", "K", "x", "2", "S", "30 size=99999999999999999\n"],
        _ => &[],
    }
}

/// Two binary images of 784 pixels.
fn amat() -> Vec<u8> {
    let image = |i: usize| (0..784).map(|p| if p % (i + 2) == 0 { "1" } else { "0" }).collect::<Vec<_>>().join(" ");
    format!("{}\n{}\n", image(0), image(1)).into_bytes()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    zipped.write_all(bytes).expect("in memory");
    zipped.finish().expect("in memory")
}

fn idx_files() -> Vec<Vec<u8>> {
    vec![idx_images(3), idx_labels(3)]
}

pub(crate) fn idx_images(count: u8) -> Vec<u8> {
    [[2051, u32::from(count), 2, 3].map(u32::to_be_bytes).concat(), (0..6 * count).collect()].concat()
}

pub(crate) fn idx_labels(count: u8) -> Vec<u8> {
    [[2049, u32::from(count)].map(u32::to_be_bytes).concat(), (0..count).collect()].concat()
}

/// The names and contents of the five files.
pub(crate) fn stl10() -> [(&'static str, Vec<u8>); 5] {
    let images = |count: usize| (0..count * 3 * 96 * 96).map(|i| (i / 7) as u8).collect();
    [
        ("train_X.bin", images(STL10[0])),
        ("train_y.bin", vec![3; STL10[0]]),
        ("unlabeled_X.bin", images(STL10[1])),
        ("test_X.bin", images(STL10[2])),
        ("test_y.bin", vec![10; STL10[2]]),
    ]
}

pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), data].concat()
}

pub(crate) fn npy_images() -> Vec<u8> {
    npy("|u1", "(3, 64, 64)", &(0..DSPRITES * 4096).map(|i| (i / 5 % 2) as u8).collect::<Vec<_>>())
}

pub(crate) fn npy_latents() -> Vec<u8> {
    npy("<f4", "(3, 2)", &[0.5_f32, -1.0, 2.0, 0.0, 1e-3, 3.0].map(f32::to_le_bytes).concat())
}

fn npy_labels() -> Vec<u8> {
    npy("<i8", "(3,)", &[0_i64, 7, -1].map(i64::to_le_bytes).concat())
}

fn npy_names() -> Vec<u8> {
    npy("<U2", "(3,)", &['a', 'b', 'c', '\0', '\u{e9}', 'd'].map(|c| u32::from(c).to_le_bytes()).concat())
}

/// The metadata of one of our checkpoints. No mutated file has this checksum.
const CHECKPOINT: &str = r#"{"sha256":"0000000000000000000000000000000000000000000000000000000000000000","format":1,
"config":"seed = 3\n[model]\nz_dim = 4\n","epoch":2,"step":1,"sums":[["total","4059000000000000"]],"adam":3,"plateau":null,
"best":[1,"4059000000000000"]}"#;

pub(crate) fn npy_classes() -> Vec<u8> {
    let rows = [[0, 0, 5, 39, 31, 0], [0, 1, 0, 0, 0, 31], [0, 2, 3, 17, 9, 8]];
    npy("<i8", "(3, 6)", &rows.as_flattened().iter().flat_map(|&number: &i64| number.to_le_bytes()).collect::<Vec<_>>())
}

pub(crate) fn npz(images: &[u8], classes: &[u8], packed: bool) -> Vec<u8> {
    zipped(&[("imgs.npy", images), ("latents_classes.npy", classes)], packed)
}

/// Latents with labels in an archive.
pub(crate) fn npz_latents(latents: &[u8]) -> Vec<u8> {
    zipped(&[("mu.npy", latents), ("labels.npy", &npy_labels()), ("names.npy", &npy_names())], true)
}

pub(crate) fn zipped(arrays: &[(&str, &[u8])], packed: bool) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let method = if packed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in arrays {
        zip.start_file(*name, options).expect("in memory");
        zip.write_all(bytes).expect("in memory");
    }
    zip.finish().expect("in memory").into_inner()
}

/// A compressed element of a MATLAB file.
pub(crate) fn packed(element: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(element).expect("in memory");
    let packed = packed.finish().expect("in memory");
    [&15_u32.to_le_bytes()[..], &(packed.len() as u32).to_le_bytes(), &packed].concat()
}

/// A MATLAB file of these elements.
pub(crate) fn mat(elements: &[u8]) -> Vec<u8> {
    [&LIST[..128], elements].concat()
}

fn voc() -> Vec<u8> {
    let object = "<object><name>Chihuahua</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>\
                  <bndbox><xmin>25</xmin><ymin>10</ymin><xmax>276</xmax><ymax>498</ymax></bndbox></object>";
    format!(
        "<annotation><folder>02085620</folder><filename>n02085620_10074</filename><source><database>ImageNet</database>\
         </source><size><width>333</width><height>500</height><depth>3</depth></size><segment>0</segment>{object}{object}\
         </annotation>"
    )
    .into_bytes()
}

fn pngs() -> Vec<Vec<u8>> {
    let clear = RgbaImage::from_fn(6, 6, |x, y| image::Rgba([x as u8, y as u8, 9, 40 * x as u8]));
    let images: [DynamicImage; 4] = [rgb(), grey(), clear.into(), rgb().into_rgb16().into()];
    images.iter().map(|image| written(image, ImageFormat::Png)).collect()
}

fn jpegs() -> Vec<Vec<u8>> {
    let [rgb, grey] = [rgb(), grey()].map(|image| written(&image, ImageFormat::Jpeg));
    vec![rgb, grey, CMYK.to_vec(), GREY.to_vec()]
}

fn webps_and_bmps() -> Vec<Vec<u8>> {
    let clear = RgbaImage::from_fn(6, 6, |x, y| image::Rgba([x as u8, y as u8, 9, 40 * x as u8]));
    let images: [DynamicImage; 3] = [rgb(), grey(), clear.into()];
    let written = images.iter().flat_map(|image| [ImageFormat::WebP, ImageFormat::Bmp].map(|f| written(image, f)));
    written.chain([LOSSY.to_vec()]).collect()
}

fn rgb() -> DynamicImage {
    RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, (x * y) as u8])).into()
}

fn grey() -> DynamicImage {
    GrayImage::from_fn(16, 5, |x, y| image::Luma([(x * 13 + y * 7) as u8])).into()
}

pub(crate) fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("in memory");
    bytes.into_inner()
}

pub(crate) fn state(metadata: Option<(&str, &str)>) -> Vec<u8> {
    block_on(nn::state::save(&readers::small_model(2), metadata.as_slice())).expect("on the CPU")
}

/// A safetensors file with this header and `data` bytes after it.
pub(crate) fn safetensors(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

/// An archive of a folder with two files, one with a long name.
pub(crate) fn tar() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let long = format!("set/{}/two.bin", "deep/".repeat(30));
    for (name, bytes) in [("set/one.bin", &[7_u8; 700][..]), (&long, b"2")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).expect("in memory");
    }
    tar.into_inner().expect("in memory")
}

/// One entry: the type, name and size that its header declares, and the bytes that follow.
pub(crate) fn tar_entry(kind: tar::EntryType, name: &[u8], size: u64, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_cksum();
    let padding = vec![0; bytes.len().next_multiple_of(512) - bytes.len()];
    [header.as_bytes(), bytes, &padding].concat()
}

/// Corrects the header length of a safetensors file to the position of the outermost closing brace, and overwrites the rest
/// with spaces.
fn mend_header(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.windows(2).position(|pair| pair == b"}}") {
        let blanks = bytes[end + 2..].iter().take_while(|&&byte| byte == b' ').count();
        let len = (end + 2 + blanks).saturating_sub(8) as u64;
        bytes.iter_mut().zip(len.to_le_bytes()).for_each(|(byte, len)| *byte = len);
    }
    bytes
}

/// Corrects the checksums of all headers of a tar, as far as the sizes lead from one to the next.
fn mend_tar(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    while let Some(block) = bytes.get_mut(at..at + 512) {
        let mut header = tar::Header::from_byte_slice(block).clone();
        if block.iter().any(|&byte| byte != 0) {
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        at += 512 + header.entry_size().map_or(0, |size| size.min(1 << 20).next_multiple_of(512) as usize);
    }
    bytes
}

/// Corrects the checksums of all chunks of a PNG, as far as the lengths lead from one to the next.
pub(crate) fn mend_png(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(len) = bytes.get(at..at + 4).map(|len| u32::from_be_bytes(len.try_into().expect("four")) as usize) {
        let mut checksum = flate2::Crc::new();
        match bytes.get(at + 4..at + 8 + len) {
            Some(chunk) => checksum.update(chunk),
            None => break,
        }
        let Some(place) = bytes.get_mut(at + 8 + len..at + 12 + len) else { break };
        place.copy_from_slice(&checksum.sum().to_be_bytes());
        at += 12 + len;
    }
    bytes
}
