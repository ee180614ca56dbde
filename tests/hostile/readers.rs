//! Every file reader as a function from the bytes of a file to a list of errors.
//!
//! The fuzz targets call the same functions, one each.

use std::path::Path;

use nn::{BatchNorm2d, Linear, Module, Sequential};
use pollster::block_on;
use tensor::Generator;
use vae::Error;
use vae::config::{Config, Crop, DataKind, Settings};
use vae::data::download::unpack;
use vae::data::files::archives::Pack;
use vae::data::files::picture::{self, Picture, Region};
use vae::data::files::{binarized_mnist, celeba, cifar10, dogs, dsprites, latents, mat, stl10};
use vae::data::idx;
use vae::learn::{self, Learner};

use super::corpus;

/// A file reader.
#[derive(Clone, Copy)]
pub(crate) struct Reader {
    /// The name of its corpus and of its fuzz target.
    pub(crate) name: &'static str,
    /// Reads the bytes and returns the errors, none if the file is accepted. The folder is for files that the reader needs.
    pub(crate) read: fn(&[u8], &Path) -> Vec<Error>,
    /// The bytes of memory that it may use: a multiple of the file's size, and a constant.
    pub(crate) memory: [usize; 2],
}

const MIB: usize = 1 << 20;

/// All readers. A parsed file takes a few times its size. Decompressed data may have 64 times the size of the file and 4 MiB
/// more, a picture 2,048 times. It may exist three times, while a vector grows or while a picture is converted.
pub(crate) const READERS: [Reader; 16] = [
    Reader { name: "idx", read: idx, memory: [200, 13 * MIB] },
    Reader { name: "amat", read: amat, memory: [8, MIB] },
    Reader { name: "cifar10", read: cifar10, memory: [8, MIB] },
    Reader { name: "stl10", read: stl10, memory: [64, 4 * MIB] },
    Reader { name: "dsprites", read: dsprites, memory: [64, 4 * MIB] },
    // The elements exist as bytes, in a growing vector, as f32, and as a tensor.
    Reader { name: "npz", read: npz, memory: [320, 24 * MIB] },
    Reader { name: "mat", read: mat, memory: [200, 13 * MIB] },
    // A node or an attribute takes a hundred bytes, and begins with a single `<` or `=`.
    Reader { name: "voc", read: voc, memory: [256, MIB] },
    Reader { name: "celeba", read: celeba, memory: [64, MIB] },
    // A progressive JPEG also exists as 16-bit coefficients.
    Reader { name: "picture", read: picture, memory: [6 * 2048, 24 * MIB] },
    Reader { name: "config", read: config, memory: [128, 4 * MIB] },
    Reader { name: "state", read: state, memory: [64, 4 * MIB] },
    Reader { name: "encoder", read: encoder, memory: [64, 4 * MIB] },
    Reader { name: "info", read: info, memory: [64, 4 * MIB] },
    Reader { name: "tar", read: tar, memory: [8, 4 * MIB] },
    Reader { name: "tar_gz", read: tar_gz, memory: [8, 4 * MIB] },
];

/// Whether an error is one line of text that names the file.
pub(crate) fn is_clear(line: &str) -> bool {
    let dump = ["Error(", "Error {", "Custom {", "Some(", "Err("].iter().any(|part| line.contains(part));
    let named = ["file", "train_X.bin", "train_y.bin"].iter().any(|name| line.contains(name));
    named && line.len() < 10_000 && !line.contains(char::is_control) && !dump
}

fn told<T, E>(read: Result<T, E>, error: impl Fn(E) -> Error) -> Vec<Error> {
    read.err().map(error).into_iter().collect()
}

fn file(what: String) -> Error {
    Error::file("file".as_ref(), what)
}

fn put(bytes: &[u8], path: &Path) {
    std::fs::write(path, bytes).expect("a file in a folder of our own");
}

/// Reads the file as images and as labels.
fn idx(bytes: &[u8], _: &Path) -> Vec<Error> {
    let said = [idx::read(bytes, &corpus::idx_labels(3)), idx::read(&corpus::idx_images(3), bytes)];
    if said.iter().any(Result::is_ok) {
        return Vec::new();
    }
    said.into_iter().filter_map(Result::err).map(|(_, what)| file(what)).collect()
}

fn amat(bytes: &[u8], _: &Path) -> Vec<Error> {
    told(binarized_mnist::read(bytes), file)
}

fn cifar10(bytes: &[u8], _: &Path) -> Vec<Error> {
    told(cifar10::append(&mut Vec::new(), &mut Vec::new(), bytes, corpus::CIFAR10), file)
}

/// Reads the file as images and as labels, next to four valid files.
fn stl10(bytes: &[u8], dir: &Path) -> Vec<Error> {
    let folder = dir.join("stl10_binary");
    let good = corpus::stl10();
    if !folder.exists() {
        std::fs::create_dir(&folder).expect("a folder of our own");
        good.iter().for_each(|(name, bytes)| put(bytes, &folder.join(name)));
    }
    let mut config = Config::default();
    (config.data.kind, config.data.image_size) = (DataKind::Stl10, Some(8));
    config.data.dir = dir.display().to_string();
    let (name, whole) = &good[if bytes.len() < 100 { 1 } else { 0 }];
    put(bytes, &folder.join(name));
    let told = told(stl10::read(&config, corpus::STL10), |error| error);
    put(whole, &folder.join(name));
    told
}

fn dsprites(bytes: &[u8], dir: &Path) -> Vec<Error> {
    let path = dir.join("file.npz");
    put(bytes, &path);
    told(dsprites::read(&path, corpus::DSPRITES), |error| error)
}

/// Reads the file as latents, and as arrays of any type.
fn npz(bytes: &[u8], dir: &Path) -> Vec<Error> {
    let path = dir.join("file.npz");
    put(bytes, &path);
    let _ = latents::read_codes(&path, 9, 1); // most of these files hold no codes
    let latents = told(latents::read_latents(&path, corpus::LATENTS), |error| error);
    [latents, told(vae::run::info::read(&path), |error| error)].concat()
}

fn mat(bytes: &[u8], _: &Path) -> Vec<Error> {
    told(mat::cell_strings(bytes, "file_list"), file)
}

fn voc(bytes: &[u8], dir: &Path) -> Vec<Error> {
    let path = dir.join("file");
    put(bytes, &path);
    told(dogs::bounds(&path), |error| error)
}

fn celeba(bytes: &[u8], _: &Path) -> Vec<Error> {
    told(celeba::parts(bytes), file)
}

/// Reads a crop in colour, and the whole picture in grey.
fn picture(bytes: &[u8], dir: &Path) -> Vec<Error> {
    let path = dir.join("file.jpg");
    put(bytes, &path);
    let mut out = [0; 3 * 4 * 4];
    let part = Picture { path, region: Region::Box([1, 1, 5, 4]) };
    let colour = told(picture::read(&part, 3, 4, &mut out), |error| error);
    let whole = Picture { region: Region::Crop(Crop::None), ..part }; // turned as its EXIF block says
    let grey = told(picture::read(&whole, 1, 4, &mut out[..16]), |error| error);
    [colour, grey].concat()
}

/// Reads a recipe and checks it without building a model. A valid one is written and read again.
fn config(bytes: &[u8], _: &Path) -> Vec<Error> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() }; // the file reader refuses it
    let read = |text: &str| {
        let mut settings = Settings::default();
        settings.file(text, "file.toml")?;
        settings.resolve()
    };
    let checked = read(text).and_then(|config| {
        let named = |error| Error::config(format!("file.toml: {error}")); // the check names keys, not files
        config.check().and_then(|()| config.check_memory(u64::MAX, 1)).map_err(named)?;
        let again = read(&config.to_toml())?;
        assert_eq!(again.to_toml(), config.to_toml(), "a configuration that is written and read");
        Ok(())
    });
    told(checked, |error| error)
}

/// Loads every tensor, and then only those that fit.
fn state(bytes: &[u8], _: &Path) -> Vec<Error> {
    let model = small_model(1);
    let all = told(block_on(nn::state::load(&model, bytes)), |error| file(error.to_string()));
    let some = block_on(nn::state::load_partial(&model, bytes, |_| true, |name| Some(name.to_owned())));
    let some = told(some.map(|filled| format!("{filled:?}")), |error| file(error.to_string()));
    [all, some].concat()
}

/// The model into which `state` loads.
pub(crate) fn small_model(seed: u64) -> impl Module {
    let mut rng = Generator::new(seed);
    Sequential::new(vec![Box::new(BatchNorm2d::new(3)), Box::new(Linear::new(&mut rng, 5, 4))])
}

fn encoder(bytes: &[u8], dir: &Path) -> Vec<Error> {
    thread_local!(static MODEL: Box<dyn Learner> = learn::build(&encoder_config()));
    let path = dir.join("file.safetensors");
    put(bytes, &path);
    MODEL.with(|model| told(vae::run::transfer::load_encoder(&**model, &path, false), |error| error))
}

/// The configuration of the model into which `encoder` loads.
pub(crate) fn encoder_config() -> Config {
    let mut settings = Settings::default();
    ["model.width=1", "model.z_dim=1"].iter().for_each(|key| settings.assignment(key).expect("a key"));
    settings.resolve().expect("a small model")
}

/// Reads what `vae info` reports of a file.
fn info(bytes: &[u8], dir: &Path) -> Vec<Error> {
    let path = dir.join("file.safetensors");
    put(bytes, &path);
    let read = vae::run::info::read(&path).map(|info| {
        let words = info.to_string();
        assert!(!words.contains(|c: char| c.is_control() && c != '\n'), "{words}");
    });
    told(read, |error| error)
}

fn tar(bytes: &[u8], dir: &Path) -> Vec<Error> {
    archive(bytes, dir, Pack::Tar)
}

fn tar_gz(bytes: &[u8], dir: &Path) -> Vec<Error> {
    archive(bytes, dir, Pack::TarGz)
}

/// Unpacks into a subfolder. Any file next to that folder afterwards has escaped.
fn archive(bytes: &[u8], dir: &Path, pack: Pack) -> Vec<Error> {
    let (path, inner) = (dir.join("file.tar"), dir.join("inner"));
    put(bytes, &path);
    std::fs::create_dir_all(&inner).expect("a folder of our own");
    let said = told(unpack(&path, pack, &inner, &["set"]), |what| Error::file(&path, what));
    let inside = std::fs::read_dir(&inner).expect("our folder").count();
    let _ = std::fs::remove_file(&path);
    std::fs::remove_dir_all(&inner).expect("our folder");
    assert_eq!(std::fs::read_dir(dir).expect("our folder").count(), 0, "something escaped");
    assert_eq!(inside, usize::from(said.is_empty()), "the folder, or nothing at all");
    said
}
