//! Lists the pictures of a folder with their labels, and counts the files that are no pictures.

use std::collections::BTreeMap;
use std::fs::FileType;
use std::path::{Path, PathBuf};

use vae_core::{Error, Result};

use crate::picture::{self, KINDS};

/// A picture's label and path.
pub(crate) type Labelled = (u16, PathBuf);

/// How many kinds of files a sentence names.
const NAMED_KINDS: usize = 5;

/// The pictures of a folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// The names of the labels.
    pub(crate) names: Vec<String>,
    /// The pictures, sorted by path.
    pub(crate) pictures: Vec<Labelled>,
    /// Whether sub-folders are labels.
    pub(crate) is_labelled: bool,
    /// The other files.
    pub(crate) others: Others,
}

/// Files that are no pictures, counted by their extension.
#[derive(Clone, Debug, Default)]
pub(crate) struct Others(BTreeMap<String, usize>);

impl Others {
    fn add(&mut self, path: &Path) {
        *self.0.entry(kind(path)).or_default() += 1;
    }

    /// Removes a file that is used after all.
    pub(crate) fn remove(&mut self, path: &Path) {
        self.0.entry(kind(path)).and_modify(|count| *count = count.saturating_sub(1));
        self.0.retain(|_, count| *count > 0);
    }

    /// Adds the files of another folder.
    pub(crate) fn extend(&mut self, other: Others) {
        other.0.into_iter().for_each(|(kind, count)| *self.0.entry(kind).or_default() += count);
    }

    /// Returns a sentence about these files, such as "3 files were skipped: 2 .gif, 1 .txt", or `None` if there are none.
    pub(crate) fn sentence(&self) -> Option<String> {
        let all: usize = self.0.values().sum();
        let mut kinds: Vec<(&String, &usize)> = self.0.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let (named, rest) = kinds.split_at(kinds.len().min(NAMED_KINDS));
        let mut words: Vec<String> = named.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        if !rest.is_empty() {
            words.push(format!("{} of other kinds", rest.iter().map(|(_, count)| **count).sum::<usize>()));
        }
        let files = if all == 1 { "file was" } else { "files were" };
        (all > 0).then(|| format!("{all} {files} skipped: {}; pictures are {KINDS}", words.join(", ")))
    }
}

/// Returns the extension of a file, in lower case.
fn kind(path: &Path) -> String {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.map_or_else(|| "without an extension".to_owned(), |extension| format!(".{extension}"))
}

/// Returns the pictures of a folder. If it has sub-folders, each one is a label.
///
/// # Errors
/// Returns an error if the folder cannot be read, or contains pictures beside sub-folders of pictures.
pub(crate) fn labelled(dir: &Path) -> Result<Listing> {
    let mut listing = Listing::default();
    let alone = pictures_and_others(dir, &mut listing.others)?;
    for name in folders(dir)? {
        let mut inside = Vec::new();
        collect_pictures(&dir.join(&name), &mut inside, &mut listing.others)?;
        if inside.is_empty() {
            continue;
        }
        if let Some(path) = alone.first() {
            let what = format!("is next to folders that are labels, such as {name}/; move it into one of them");
            return Err(Error::file(path, what));
        }
        let Ok(label) = u16::try_from(listing.names.len()) else {
            return Err(Error::file(dir, format!("contains more than {} sub-folders of pictures", u16::MAX)));
        };
        listing.pictures.extend(inside.into_iter().map(|path| (label, path)));
        listing.names.push(name);
    }
    listing.is_labelled = !listing.names.is_empty();
    if !listing.is_labelled {
        listing.names.push("picture".into());
        listing.pictures.extend(alone.into_iter().map(|path| (0, path)));
    }
    Ok(listing)
}

/// Returns the pictures that are in none of the sub-folders `inside`, and counts the other files there.
///
/// # Errors
/// Returns an error if a folder cannot be read.
pub(crate) fn outside(dir: &Path, inside: &[&String]) -> Result<(Vec<PathBuf>, Others)> {
    let mut others = Others::default();
    let mut found = pictures_and_others(dir, &mut others)?;
    for name in folders(dir)?.iter().filter(|name| !inside.contains(name)) {
        collect_pictures(&dir.join(name), &mut found, &mut others)?;
    }
    Ok((found, others))
}

/// Appends the pictures of a folder and of its sub-folders.
fn collect_pictures(dir: &Path, found: &mut Vec<PathBuf>, others: &mut Others) -> Result<()> {
    found.extend(pictures_and_others(dir, others)?);
    folders(dir)?.iter().try_for_each(|name| collect_pictures(&dir.join(name), found, others))
}

/// Returns the pictures directly in a folder, sorted by name, and counts the other files in it.
fn pictures_and_others(folder: &Path, others: &mut Others) -> Result<Vec<PathBuf>> {
    let files = names(folder, |kind| !kind.is_dir())?.into_iter().map(|name| folder.join(name));
    let (pictures, rest): (Vec<_>, Vec<_>) = files.partition(|path| picture::is_picture(path));
    rest.iter().for_each(|path| others.add(path));
    Ok(pictures)
}

/// Returns the pictures directly in a folder, sorted by name.
pub(crate) fn pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    pictures_and_others(folder, &mut Others::default())
}

/// Returns the names of the folders directly in a folder, sorted.
pub(crate) fn folders(folder: &Path) -> Result<Vec<String>> {
    names(folder, |kind| kind.is_dir())
}

/// Returns the names in a folder, sorted, without those that start with a dot. A symbolic link to a folder does not
/// count as a folder, because following it might never end.
fn names(folder: &Path, wanted: impl Fn(FileType) -> bool) -> Result<Vec<String>> {
    let fail = |error| Error::file(folder, format!("cannot be read: {error}"));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && wanted(entry.file_type().map_err(fail)?) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_pictures_are_counted_by_kind() {
        let mut others = Others::default();
        assert_eq!(others.sentence(), None);
        others.add(Path::new("a.GIF"));
        assert_eq!(
            others.sentence().unwrap(),
            "1 file was skipped: 1 .gif; pictures are .jpg, .jpeg, .png, .webp, .bmp"
        );
        ["b.gif", "README", "c.gif", "notes.txt"].iter().for_each(|name| others.add(Path::new(name)));
        let sentence = others.sentence().unwrap();
        assert!(sentence.starts_with("5 files were skipped: 3 .gif, 1 .txt, 1 without an extension;"), "{sentence}");
        others.remove(Path::new("d.gif"));
        others.remove(Path::new("other.txt"));
        others.remove(Path::new("none.csv"));
        let rest = others.sentence().unwrap();
        assert!(rest.starts_with("3 files were skipped: 2 .gif, 1 without an extension;"), "{rest}");
        ["e.gif", "more.txt"].iter().for_each(|name| others.add(Path::new(name)));
        let mut more = Others::default();
        ["a.a", "a.b", "a.c", "a.d"].iter().for_each(|name| more.add(Path::new(name)));
        others.extend(more);
        let sentence = others.sentence().unwrap();
        assert!(
            sentence.contains("9 files were skipped: 3 .gif, 1 .a, 1 .b, 1 .c, 1 .d, 2 of other kinds;"),
            "{sentence}"
        );
    }
}
