//! Malicious files that their readers must refuse: they decompress without end, declare contents that are absent, nest, repeat,
//! use paths outside their folder, or contain terminal escapes.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{DynamicImage, ImageFormat};
use tar::EntryType;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::corpus::{
    gzip, mat, mend_png, npy, npy_classes, npy_images, npy_latents, npz, npz_latents, packed, safetensors, tar_entry,
    written, zipped,
};

/// A description and the bytes of each file for a reader.
pub(crate) fn of(reader: &str) -> Vec<(&'static str, Vec<u8>)> {
    match reader {
        "idx" => idx(),
        "dsprites" => dsprites(),
        "npz" => numpy(),
        "mat" => matlab(),
        "voc" => voc(),
        "celeba" => celeba(),
        "picture" => picture(),
        "config" => config(),
        "state" | "encoder" => state(),
        "info" => state().into_iter().filter(|(what, _)| FOREIGN.iter().all(|known| known != what)).collect(),
        "tar" => archives(),
        "tar_gz" => archives().into_iter().map(|(what, bytes)| (what, gzip(&bytes))).collect(),
        _ => Vec::new(),
    }
}

const ZEROS: usize = 64 << 20;

fn idx() -> Vec<(&'static str, Vec<u8>)> {
    let head = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let honest = [head(&[2051, 1 << 14, 64, 64]), vec![0; ZEROS]].concat();
    vec![
        ("zeros, as many as it says", gzip(&honest)),
        ("zeros without a header", gzip(&vec![0; ZEROS])),
        ("a gzip in a gzip", gzip(&gzip(&honest))),
        ("ten thousand empty gzips", gzip(b"").repeat(10_000)),
        ("a product of 2⁵⁶", head(&[2051, u32::MAX, 4096, 4096])),
        ("a product of 2⁶⁴", head(&[2051, 1 << 31, 1 << 31, 4])),
        ("images of no pixels", head(&[2051, u32::MAX, 0, 0])),
    ]
}

fn dsprites() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = vec![0; ZEROS];
    let mut twice = npz(&npy_images(), &npy_classes(), false);
    let names: Vec<usize> =
        twice.windows(8).enumerate().filter(|(_, name)| name == b"imgs.npy").map(|(at, _)| at).collect();
    names.iter().for_each(|&at| twice[at..at + 8].copy_from_slice(b"imgs.npz"));
    let mut many = ZipWriter::new(Cursor::new(Vec::new()));
    for i in 0..20_000 {
        many.start_file(format!("{i}.npy"), SimpleFileOptions::default()).expect("in memory");
    }
    let mut text = b"\x93NUMPY\x01\x00\xff\xff".to_vec();
    text.extend(b"\x1b[2J\n".repeat(16_000));
    let mut end = b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0".to_vec();
    vec![
        ("an array without end", npz(&[&npy_images()[..], &zeros].concat(), &npy_classes(), true)),
        ("zeros for an array", npz(&zeros, &npy_classes(), true)),
        ("an array under another name", twice),
        ("twenty thousand arrays", many.finish().expect("in memory").into_inner()),
        ("a text for a terminal", npz(&text, &npy_classes(), true)),
        ("ends of archives, one after the other", b"PK\x05\x06".repeat(1_000_000)),
        ("ends of archives that claim 65,535 files", end.repeat(180_000)),
        ("an end that claims 2³² bytes", std::mem::take(&mut end)),
        ("a web page", b"<!DOCTYPE html><html>".to_vec()),
    ]
}

fn numpy() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = vec![0; ZEROS];
    let brackets = format!("{{'descr': {}", "[".repeat(65_000));
    let deep = [b"\x93NUMPY\x01\x00", &(brackets.len() as u16).to_le_bytes()[..], brackets.as_bytes()].concat();
    vec![
        ("zeros, as many as it says", npz_latents(&npy("<f4", "(8388608, 2)", &zeros))),
        ("zeros without end", npz_latents(&[&npy_latents()[..], &zeros].concat())),
        ("2⁶³ numbers", npy("<f8", "(4611686018427387904, 2)", &[0; 16])),
        ("a product of 2⁶⁴", npy("<f4", "(9223372036854775808, 2)", &[0; 16])),
        ("a row of no numbers, often", npy("<f4", "(18446744073709551615, 0)", b"")),
        ("an archive in an archive", npz_latents(&npz_latents(&npy_latents()))),
        ("brackets in brackets", deep),
        ("a type for a terminal", npy("\u{1b}[2J", "(3, 2)", &[0; 24])),
        ("a pickle", npy("|O", "(3, 2)", b"\x80\x04cos\nsystem\n")),
        ("a name for a terminal", zipped(&[("\u{1b}[2J\n", b"")], false)),
        ("a web page", b"<!DOCTYPE html><html>".to_vec()),
    ]
}

/// Files that `vae info` accepts, because it describes files of any model.
const FOREIGN: [&str; 7] = [
    "a tensor of 2⁶² numbers",
    "nothing, 2⁶³ times 2⁶³",
    "2⁶³ times nothing",
    "twenty thousand tensors",
    "a name for a terminal",
    "a name of 100,000 letters",
    "one name twice", // the library uses the last one
];

fn matlab() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = packed(&vec![0; ZEROS]);
    let few = packed(&vec![0; 4 << 20]);
    let nested = (0..200).fold(vec![0; 8], |inside, _| packed(&inside));
    let field = |kind: u32, bytes: &[u8]| {
        let padding = vec![0; bytes.len().next_multiple_of(8) - bytes.len()];
        [&kind.to_le_bytes()[..], &(bytes.len() as u32).to_le_bytes(), bytes, &padding].concat()
    };
    let head = |class: u8, sizes: [u32; 2], name: &[u8]| {
        let sizes = sizes.map(u32::to_le_bytes).concat();
        [field(6, &[class, 0, 0, 0, 0, 0, 0, 0]), field(5, &sizes), field(1, name)].concat()
    };
    let text = |letters: &[u8]| field(14, &[head(4, [1, letters.len() as u32], b""), field(16, letters)].concat());
    let cells =
        |count: u32, cell: &[u8]| field(14, &[&head(1, [1, count], b"file_list")[..], &cell.repeat(1_000)].concat());
    let deep =
        (0..1_000).fold(text(b"a/b.jpg"), |inside, _| field(14, &[head(1, [1, 1], b"file_list"), inside].concat()));
    vec![
        ("a variable of zeros", mat(&zeros)),
        ("a hundred variables of zeros", mat(&few.repeat(100))),
        ("a variable in a variable in …", mat(&nested)),
        ("a cell in a cell in …", mat(&deep)),
        ("2³² words of which a thousand are there", mat(&cells(u32::MAX, &text(b"a/b.jpg")))),
        ("words that say they are longer", mat(&cells(1_000, &field(14, &head(4, [u32::MAX; 2], b""))))),
    ]
}

fn voc() -> Vec<(&'static str, Vec<u8>)> {
    let mut laughs = "<!DOCTYPE a [<!ENTITY l0 'ha'>".to_owned();
    (1..20).for_each(|i| laughs += &format!("<!ENTITY l{i} '{}'>", format!("&l{};", i - 1).repeat(10)));
    laughs += "]><annotation><object>&l19;</object></annotation>";
    let outside = "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a><object>&x;</object></a>";
    let spaces: String = (0..900).map(|i| format!("<a xmlns:a{i}='{i}'>")).collect();
    let attributes: String = (0..1_800).map(|i| format!(" a{i}=''")).collect();
    vec![
        ("a billion laughs", laughs.into_bytes()),
        ("a file from elsewhere", outside.as_bytes().to_vec()),
        ("five thousand levels", "<a>".repeat(5_000).into_bytes()),
        ("levels that are closed", ["<a>".repeat(2_300), "</a>".repeat(2_300)].concat().into_bytes()),
        ("a name space a level", spaces.into_bytes()),
        ("eighteen hundred attributes", format!("<a{attributes}/>").into_bytes()),
        ("sixteen thousand levels", "<a>".repeat(16_000).into_bytes()),
        (
            "numbers beyond all numbers",
            b"<a><object><bndbox><xmin>99999999999999999999</xmin></bndbox></object></a>".to_vec(),
        ),
    ]
}

fn celeba() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("one picture, 100,000 times", b"a.jpg 0\n".repeat(100_000)),
        ("a name of a megabyte", [&b"a".repeat(1 << 20)[..], b" 0\n"].concat()),
        ("a name that leads out", b"../../etc/passwd 0\nb.jpg 1\nc.jpg 2\n".to_vec()),
        ("a name that plays with the terminal", b"a\x1b[2J.jpg 0\na\x1b[2J.jpg 1\n".to_vec()),
    ]
}

fn picture() -> Vec<(&'static str, Vec<u8>)> {
    let black = black_png(9_000);
    let mut huge = written(&DynamicImage::new_luma8(9, 9), ImageFormat::Png);
    huge[16..24].copy_from_slice(&[16_384_u32, 16_384].map(u32::to_be_bytes).concat());
    let mut wide = huge.clone();
    wide[16..24].copy_from_slice(&[0x7fff_ffff_u32, 0x7fff_ffff].map(u32::to_be_bytes).concat());
    let mut jpeg = written(&DynamicImage::new_rgb8(9, 9), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
    let small = written(&DynamicImage::new_luma8(9, 9), ImageFormat::Png);
    let profile = |zlib: &[u8]| {
        let data = [&b"iCCPa\0\0"[..], zlib].concat();
        let chunk = [&(data.len() as u32 - 4).to_be_bytes()[..], &data, &[0; 4]].concat();
        mend_png([&small[..33], &chunk, &small[33..small.len() / 2]].concat())
    };
    let zeros = packed(&vec![0; ZEROS]);
    vec![
        ("a black page, 9,000 pixels wide", black),
        ("a header of 16,384×16,384", mend_png(huge)),
        ("a header of 2³¹×2³¹", mend_png(wide)),
        ("a frame of 16,383×16,383", jpeg),
        ("a colour profile of zeros, and no end", profile(&zeros[8..])),
        ("scans without end", [&[0xff, 0xd8][..], &[0xff, 0xda, 0, 2].repeat(50_000), &[0xff, 0xd9]].concat()),
    ]
}

/// A PNG of zeros with the best compression.
fn black_png(side: usize) -> Vec<u8> {
    let mut rows = ZlibEncoder::new(Vec::new(), Compression::best());
    (0..=side).for_each(|_| rows.write_all(&vec![0; side]).expect("in memory"));
    let small = written(&DynamicImage::new_luma8(9, 9), ImageFormat::Png);
    let head = [&small[..16], &[(side as u32).to_be_bytes(); 2].concat(), &small[24..33]].concat();
    let rows = rows.finish().expect("in memory");
    let chunk = |name: &[u8], data: &[u8]| [&(data.len() as u32).to_be_bytes()[..], name, data, &[0; 4]].concat();
    mend_png([head, chunk(b"IDAT", &rows), chunk(b"IEND", b"")].concat())
}

fn config() -> Vec<(&'static str, Vec<u8>)> {
    let deep =
        |open: &str, close: &str| [b"a = ".to_vec(), open.repeat(50_000).into(), close.repeat(50_000).into()].concat();
    let dotted = "a.".repeat(100_000);
    vec![
        ("lists in lists", deep("[", "]")),
        ("tables in tables", deep("{a=", "}")),
        ("a key of 100,000 parts", format!("{dotted}a = 1").into_bytes()),
        ("a section of 100,000 parts", format!("[{dotted}a]\nb = 1").into_bytes()),
        ("a key of a megabyte", format!("{} = 1", "k".repeat(1 << 20)).into_bytes()),
        ("a key for a terminal", b"\"a\\nb\\u001b[2J\" = 1".to_vec()),
        ("a key twice", b"seed = 1\nseed = 2".to_vec()),
        ("numbers beyond all numbers", b"seed = 99999999999999999999".to_vec()),
        ("a model of 2⁶³", b"[model]\nz_dim = 9223372036854775807\nwidth = 9223372036854775807".to_vec()),
        ("pictures of 2⁶³", b"[data]\nimage_size = 9223372036854775807\nchannels = 9223372036854775807".to_vec()),
        ("batches of nothing", b"[train]\nbatch_size = 0".to_vec()),
    ]
}

fn state() -> Vec<(&'static str, Vec<u8>)> {
    let tensor = |name: &str, dtype: &str, shape: &str, from: u64, to: u64| {
        format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}")
    };
    let file = |tensors: &[String]| safetensors(&format!("{{{}}}", tensors.join(",")), 0);
    let most = (1_u64 << 61) - 1; // the largest number of bytes whose number of bits fits into 64 bits
    let up: Vec<String> =
        (0..8).map(|i| tensor(&format!("t{i}"), "U8", &format!("[{most}]"), i * most, (i + 1) * most)).collect();
    let rest = tensor("z", "U8", "[7]", 8 * most, 8 * most + 7);
    let many: Vec<String> = (0..20_000).map(|i| tensor(&format!("t{i}"), "F32", "[0]", 0, 0)).collect();
    let mut long = safetensors("{}", 0);
    long[..8].fill(0xff);
    vec![
        ("tensors up to 2⁶⁴", file(&[&up[..], &[rest]].concat())),
        ("a header of 2⁶⁴ bytes", long),
        ("a tensor of 2⁶² numbers", file(&[tensor("0.weight", "F32", "[4611686018427387904]", 0, 0)])),
        ("a size that overflows", file(&[tensor("0.weight", "F32", "[4294967296,4294967296,2]", 0, 0)])),
        (
            "nothing, 2⁶³ times 2⁶³",
            file(&[tensor("0.weight", "F32", "[0,9223372036854775808,9223372036854775808]", 0, 0)]),
        ),
        ("2⁶³ times nothing", file(&[tensor("0.weight", "F32", "[9223372036854775808,0]", 0, 0)])),
        ("a hundred dimensions", file(&[tensor("0.weight", "F32", &format!("[{}1]", "1,".repeat(99)), 0, 4)])),
        ("twenty thousand tensors", file(&many)),
        ("a name for a terminal", file(&[tensor("a\\n\\u001b[2J", "F32", "[0]", 0, 0)])),
        ("a name of 100,000 letters", file(&[tensor(&"n".repeat(100_000), "F32", "[0]", 0, 0)])),
        ("lists in lists", safetensors(&"[".repeat(100_000), 0)),
        ("objects in objects", safetensors(&"{\"a\":".repeat(100_000), 0)),
        ("one name twice", file(&[tensor("a", "F32", "[0]", 0, 0), tensor("a", "F64", "[0]", 0, 0)])),
    ]
}

fn archives() -> Vec<(&'static str, Vec<u8>)> {
    use EntryType::{Directory, GNULongName, Link, Regular, Symlink, XGlobalHeader, XHeader};

    let good = tar_entry(Regular, b"set/one", 1, b"1");
    let with = |entries: &[Vec<u8>]| [&entries.concat()[..], &good, &[0; 1024]].concat();
    let zeros = vec![0; 8 << 20];
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(Symlink);
    link.set_link_name("../..").expect("a short name");
    link.as_mut_bytes()[..3].copy_from_slice(b"set");
    link.set_size(0);
    link.set_cksum();
    let size = b"28 size=4611686018427387904\n";
    vec![
        ("a name of eight megabytes", with(&[tar_entry(GNULongName, b"././@LongLink", zeros.len() as u64, &zeros)])),
        ("attributes of eight megabytes", with(&[tar_entry(XHeader, b"pax", zeros.len() as u64, &zeros)])),
        ("a comment of eight megabytes", with(&[tar_entry(XGlobalHeader, b"pax", zeros.len() as u64, &zeros)])),
        ("a file of 2⁶² bytes", with(&[tar_entry(Regular, b"set/huge", 1 << 62, b"x")])),
        ("a size of 2⁶² beside the header", with(&[tar_entry(XHeader, b"pax", size.len() as u64, size)])),
        ("a link and a file behind it", with(&[link.as_bytes().to_vec()])),
        ("a hard link", with(&[tar_entry(Link, b"set/link", 0, b"")])),
        ("a way out", with(&[tar_entry(Regular, b"set/../../out", 1, b"1")])),
        ("a way from the root", with(&[tar_entry(Regular, b"/out", 1, b"1")])),
        ("a file that is a folder", with(&[tar_entry(Regular, b"set", 1, b"1")])),
        (
            "a folder that is a file",
            with(&[
                good.clone(),
                tar_entry(Directory, b"set/one/", 0, b""),
                tar_entry(Regular, b"set/one/two", 1, b"1"),
            ]),
        ),
        ("a name for a terminal", with(&[tar_entry(Link, b"set/\x1b[2J\n\xff", 0, b"")])),
        ("a name that is empty", with(&[tar_entry(Regular, b"", 1, b"1")])),
    ]
}
