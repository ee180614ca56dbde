//! Decoded pictures in a file (`data.cache`). A picture is decoded when it is first needed. After that its pixels are read from the
//! file, so pictures need not fit into memory: the operating system keeps those in memory that were read last.
//!
//! ```text
//! CACHE/1f2e3d4c-3x64-centre.pixels     the pixels of one picture after another, [channels, side, side], a byte each
//! CACHE/1f2e3d4c-3x64-centre.index      which picture they are of: path, size and time of its file, hash of its pixels
//! CACHE/1f2e3d4c-3x64-centre.lock       is locked by a process that adds pictures
//! ```
//!
//! The first eight digits are a hash of the folder's path. There are such files for each image size, number of channels and crop, and
//! all splits of the folder share them. A picture whose file has another size or time than before is decoded again, and its pixels
//! are appended. Nothing is ever overwritten, so runs that train at the same time may share a cache; while one of them adds pictures,
//! the others wait. An index is written after the pixels that it names, in one step. A run that is stopped while it decodes loses at
//! most the last eighth of what was decoded.

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use vae_core::config::Crop;
use vae_core::data::Source;
use vae_core::{Error, Result, hex};

use super::OwnPicture;
use crate::image_hash::image_hash;
use crate::picture::{Fit, Picture, Region};
use crate::pictures::{Damaged, Decoded, kept, read_all};

/// Pictures that are decoded before their pixels are written.
const CHUNK: usize = 4096;
/// The first bytes of an index. The digit is the version of its format.
const MAGIC: &[u8; 8] = b"vaepics1";

/// The size and the time of the last change of a picture's file. If both are as before, its pixels are too.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Stamp {
    bytes: u64,
    nanoseconds: u64,
}

impl Stamp {
    /// That of a file, or of an empty one if there is none: decoding it tells what is wrong.
    fn of(path: &Path) -> Stamp {
        let Ok(data) = fs::metadata(path) else { return Stamp { bytes: 0, nanoseconds: 0 } };
        let since = data.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Stamp { bytes: data.len(), nanoseconds: since.map_or(0, |since| since.as_nanos() as u64) }
    }
}

/// A picture in the cache.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Entry {
    /// How many pictures' pixels are before its own.
    slot: u64,
    hash: u64,
    stamp: Stamp,
    fit: Fit,
}

/// The decoded pictures of a folder.
pub(super) struct Cache {
    /// Other processes wait until it is closed.
    _lock: File,
    index: PathBuf,
    pixels: PathBuf,
    file: File,
    crop: Crop,
    /// The channels and the side of an image.
    size: [usize; 2],
    entries: HashMap<String, Entry>,
    /// The number of pictures in the file of pixels.
    slots: u64,
    /// How many of them were decoded now.
    decoded: usize,
    /// How many are not yet in the file of the index.
    unsaved: usize,
}

/// What [`Cache::read_all`] found.
pub(super) struct Cached {
    /// The pictures that are not damaged, in order.
    pub(super) source: CachedPixels,
    /// The positions of the damaged pictures in the list.
    pub(super) damaged: Vec<usize>,
    /// What was done to each picture that is not damaged.
    pub(super) fits: Vec<Fit>,
}

impl Cache {
    /// Opens the cache in `folder` for the pictures of `dir`, and makes it if there is none. Waits while another process has it open.
    ///
    /// # Errors
    /// Returns an error if a file cannot be made, read or locked.
    pub(super) fn open(folder: &Path, dir: &Path, crop: Crop, size: [usize; 2]) -> Result<Cache> {
        let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let digest = hex(&Sha256::digest(whole.as_os_str().as_encoded_bytes())[..4]);
        let path = |kind: &str| folder.join(format!("{digest}-{}x{}-{crop}.{kind}", size[0], size[1]));
        let (pixels, index) = (path("pixels"), path("index"));
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        let open = |path: &Path| {
            let file = OpenOptions::new().read(true).append(true).create(true).open(path);
            file.map_err(|error| failed(path, error))
        };
        // A file of its own, since on Windows a locked file cannot be read by others.
        let (lock, at) = (open(&path("lock"))?, path("lock"));
        lock.lock().map_err(|error| failed(&at, error))?;
        let file = open(&pixels)?;
        let mut cache = Cache {
            _lock: lock,
            index,
            pixels,
            file,
            crop,
            size,
            entries: HashMap::new(),
            slots: 0,
            decoded: 0,
            unsaved: 0,
        };
        cache.read_index()?;
        Ok(cache)
    }

    /// The bytes of an image.
    fn bytes(&self) -> u64 {
        (self.size[0] * self.size[1] * self.size[1]) as u64
    }

    /// Reads the index. If there is none, or a damaged one, or one that names more pictures than there are, every picture is decoded
    /// again, after the pixels that are there: another process may be reading them.
    fn read_index(&mut self) -> Result<()> {
        let there = self.file.metadata().map_err(|error| failed(&self.pixels, error))?.len() / self.bytes();
        let index = match fs::read(&self.index) {
            Ok(bytes) => parse(&bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed(&self.index, error)),
        };
        let fits = |(slots, entries): &(u64, HashMap<String, Entry>)| {
            *slots <= there && entries.values().all(|entry| entry.slot < *slots)
        };
        (self.slots, self.entries) = index.filter(fits).unwrap_or((there, HashMap::new()));
        // Pixels that no index names are those of a run that was stopped.
        self.file.set_len(self.slots * self.bytes()).map_err(|error| failed(&self.pixels, error))
    }

    /// Decodes the pictures that are not in the cache, and returns all.
    ///
    /// # Errors
    /// Returns an error if a picture is missing, or damaged and not to be skipped, or if the cache cannot be written.
    pub(super) fn read_all(&mut self, pictures: &[OwnPicture], damaged: Damaged) -> Result<Cached> {
        let stamps: Vec<Stamp> = pictures.par_iter().map(|own| Stamp::of(&own.path)).collect();
        let is_known =
            |index: &usize| self.entries.get(&pictures[*index].name).is_some_and(|entry| entry.stamp == stamps[*index]);
        let unknown: Vec<usize> = (0..pictures.len()).filter(|index| !is_known(index)).collect();
        let mut broken = Vec::new();
        let added = unknown.chunks(CHUNK).try_for_each(|some| self.add(some, pictures, &stamps, damaged, &mut broken));
        if self.unsaved > 0 {
            self.write_index()?; // also after an error, so that what was decoded is not lost
        }
        added?;
        let whole = kept(pictures.len(), &broken);
        let entries: Vec<Entry> = whole.into_iter().map(|index| self.entries[&pictures[index].name]).collect();
        let fits = entries.iter().map(|entry| entry.fit).collect();
        let file = File::open(&self.pixels).map_err(|error| failed(&self.pixels, error))?;
        let images = entries.into_iter().map(|Entry { slot, hash, .. }| (slot, hash)).collect();
        Ok(Cached { source: CachedPixels { file, path: self.pixels.clone(), images }, damaged: broken, fits })
    }

    /// Returns a sentence about the pictures that were decoded, if there are any.
    pub(super) fn note(&self) -> Option<String> {
        let pictures = match self.decoded {
            0 => return None,
            1 => "1 picture was".to_owned(),
            several => format!("{several} pictures were"),
        };
        Some(format!("{pictures} decoded into {}, from which they are read from now on", self.pixels.display()))
    }

    /// Decodes some pictures of a list and appends their pixels. Adds the positions of the damaged ones to `broken`.
    fn add(
        &mut self,
        some: &[usize],
        pictures: &[OwnPicture],
        stamps: &[Stamp],
        damaged: Damaged,
        broken: &mut Vec<usize>,
    ) -> Result<()> {
        let ([channels, side], region) = (self.size, Region::Crop(self.crop));
        let file = |&index: &usize| Picture { path: pictures[index].path.clone(), region };
        let files: Vec<Picture> = some.iter().map(file).collect();
        let Decoded { pixels, damaged, fits } = read_all(&files, channels, side, damaged)?;
        let written = (&self.file).write_all(&pixels).and_then(|()| self.file.sync_data());
        written.map_err(|error| failed(&self.pixels, error))?;
        let images = pixels.par_chunks_exact(self.bytes() as usize);
        let hashes: Vec<u64> = images.map(|image| image_hash(image, [side, side, channels])).collect();
        let whole = kept(some.len(), &damaged);
        self.decoded += whole.len();
        self.unsaved += whole.len();
        for ((at, hash), fit) in whole.into_iter().zip(hashes).zip(fits) {
            let entry = Entry { slot: self.slots, hash, stamp: stamps[some[at]], fit };
            self.entries.insert(pictures[some[at]].name.clone(), entry);
            self.slots += 1;
        }
        broken.extend(damaged.into_iter().map(|at| some[at]));
        // Not after each time, since the index of a million pictures has a hundred megabytes.
        if 8 * self.unsaved > self.entries.len() { self.write_index() } else { Ok(()) }
    }

    /// Replaces the index in one step.
    fn write_index(&mut self) -> Result<()> {
        let part = self.index.with_extension("index.part"); // no other process writes it, since this one has the lock
        let write = || -> std::io::Result<()> {
            let mut file = BufWriter::new(File::create(&part)?);
            file.write_all(MAGIC)?;
            file.write_all(&self.slots.to_le_bytes())?;
            for (name, Entry { slot, hash, stamp, fit }) in &self.entries {
                for number in [*slot, *hash, stamp.bytes, stamp.nanoseconds] {
                    file.write_all(&number.to_le_bytes())?;
                }
                file.write_all(&[u8::from(fit.is_cropped) | u8::from(fit.is_stretched) << 1])?;
                file.write_all(&(name.len() as u64).to_le_bytes())?;
                file.write_all(name.as_bytes())?;
            }
            file.into_inner()?.sync_all()?;
            fs::rename(&part, &self.index)
        };
        write().map_err(|error| failed(&self.index, error))?;
        self.unsaved = 0;
        Ok(())
    }
}

/// The number of slots and the entries of an index, if it is one.
fn parse(bytes: &[u8]) -> Option<(u64, HashMap<String, Entry>)> {
    fn number(rest: &mut &[u8]) -> Option<u64> {
        let (bytes, after) = rest.split_first_chunk()?;
        *rest = after;
        Some(u64::from_le_bytes(*bytes))
    }
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let slots = number(&mut rest)?;
    let mut entries = HashMap::new();
    while !rest.is_empty() {
        let [slot, hash, bytes, nanoseconds] =
            [number(&mut rest)?, number(&mut rest)?, number(&mut rest)?, number(&mut rest)?];
        let (&flags, after) = rest.split_first()?;
        rest = after;
        let fit = Fit { is_cropped: flags & 1 != 0, is_stretched: flags & 2 != 0 };
        let len = number(&mut rest)?.try_into().ok()?;
        let (name, after) = rest.split_at_checked(len)?;
        rest = after;
        let name = String::from_utf8(name.to_owned()).ok()?;
        entries.insert(name, Entry { slot, hash, stamp: Stamp { bytes, nanoseconds }, fit });
    }
    Some((slots, entries))
}

fn failed(path: &Path, error: impl Display) -> Error {
    Error::file(
        path,
        format!(
            "{error}; data.cache names a folder for decoded pictures: choose one that can be written and has room, or leave it out"
        ),
    )
}

/// Pictures whose pixels are in the file of a cache.
#[derive(Debug)]
pub(super) struct CachedPixels {
    file: File,
    path: PathBuf,
    /// The slot and the hash of each picture.
    images: Vec<(u64, u64)>,
}

impl Source for CachedPixels {
    fn read(&self, index: usize, out: &mut [u8]) -> Result<()> {
        let at = self.images[index].0 * out.len() as u64;
        read_at(&self.file, at, out).map_err(|error| Error::file(&self.path, format!("cannot be read: {error}")))
    }

    fn memory(&self) -> u64 {
        size_of_val(&self.images[..]) as u64
    }

    fn key(&self, index: usize) -> Option<u64> {
        Some(self.images[index].1)
    }
}

/// Fills `out` from a place of a file. Threads may do this at the same time.
#[cfg(unix)]
fn read_at(file: &File, at: u64, out: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut at: u64, mut out: &mut [u8]) -> std::io::Result<()> {
    while !out.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, out, at)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        (at, out) = (at + count as u64, &mut out[count..]);
    }
    Ok(())
}

/// A browser has no files.
#[cfg(not(any(unix, windows)))]
fn read_at(_: &File, _: u64, _: &mut [u8]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests;
