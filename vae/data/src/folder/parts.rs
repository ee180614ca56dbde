//! Divides the pictures of a folder into training, validation and test pictures: at random in a ratio, by sub-folders, or
//! by a list.
//!
//! ```text
//! FOLDER/train/cats/1.jpg, FOLDER/validation/cats/2.jpg, FOLDER/test/cats/3.jpg       sub-folders
//! cats/1.jpg,train                                                                    a line of a list
//! ```
//!
//! A list is a CSV file. Its first line may be `path,part`. A path is relative to the folder of the pictures.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use vae_core::config::{Ratio, SplitBy, sizes_in_ratio};
use vae_core::{Error, Result};

use super::listing::{Labelled, Listing, Others, folders, labelled, outside};
use crate::file;
use crate::picture::KINDS;
use crate::pictures::shuffled;

/// The names of the parts. The first is the one that messages use.
const PARTS: [&[&str]; 3] = [&["train"], &["validation", "valid", "val"], &["test"]];

/// Pictures in parts.
pub(crate) struct Parts {
    /// The names of the labels.
    pub(crate) names: Vec<String>,
    /// The training, validation and test pictures.
    pub(crate) pictures: [Vec<Labelled>; 3],
    /// What a user should know.
    pub(crate) notes: Vec<String>,
}

/// Divides the pictures of a folder. The seed decides the order within each part.
///
/// # Errors
/// Returns an error if a part is empty, if a sub-folder or a list is missing, or if a line of the list is wrong.
pub(crate) fn parts(dir: &Path, split: &SplitBy, seed: u64) -> Result<Parts> {
    match split {
        SplitBy::Ratio(ratio) => in_ratio(dir, *ratio, seed),
        SplitBy::List(path) => by_list(dir, &dir.join(path), seed),
        SplitBy::Folders => match part_folders(dir)? {
            [Some(train), validation, Some(test)] => by_folders(dir, [Some(train), validation, Some(test)], seed),
            [train, _, _] => {
                let missing = if train.is_none() { "train" } else { "test" };
                let what = format!("has no sub-folder {missing}, which data.split = \"folders\" needs");
                Err(Error::file(dir, what))
            }
        },
        SplitBy::Auto => match part_folders(dir)? {
            [Some(train), validation, Some(test)] => by_folders(dir, [Some(train), validation, Some(test)], seed),
            // One such name alone may be a label.
            [train, Some(validation), test] if train.is_some() || test.is_some() => {
                let (there, missing) = match (train, test) {
                    (Some(train), _) => (train, "test"),
                    (None, test) => (test.unwrap_or_default(), "train"),
                };
                let what = format!(
                    "has sub-folders {there} and {validation}, but none named {missing}; add it, or set \
                     data.split = \"10:1:1\" to divide all pictures at random, with sub-folders as labels"
                );
                Err(Error::file(dir, what))
            }
            _ => in_ratio(dir, Ratio::DEFAULT, seed),
        },
    }
}

fn in_ratio(dir: &Path, ratio: Ratio, seed: u64) -> Result<Parts> {
    let Listing { names, pictures, others, .. } = labelled(dir)?;
    let sizes = sizes_in_ratio(pictures.len(), ratio);
    if sizes.contains(&0) {
        let [train, validation, test] = ratio.0.map(u64::from);
        let least = (train + validation + test).div_ceil(validation.min(test));
        let what = format!(
            "contains {} pictures ({KINDS}), expected at least {least}, to split {ratio}; put pictures there, in one \
             sub-folder for each label if they have labels, or name another folder with --data-dir",
            pictures.len()
        );
        return Err(Error::file(dir, what));
    }
    let mut rest = shuffled(pictures, seed, 0);
    let test = rest.split_off(sizes[0] + sizes[1]);
    let validation = rest.split_off(sizes[0]);
    Ok(Parts { names, pictures: [rest, validation, test], notes: others.sentence().into_iter().collect() })
}

/// Returns the names of the sub-folders that are parts.
fn part_folders(dir: &Path) -> Result<[Option<String>; 3]> {
    let mut found = [const { None }; 3];
    for name in folders(dir)? {
        let Some(part) = part_named(&name) else { continue };
        if let Some(other) = &found[part] {
            let what = format!("has two sub-folders of {} pictures, {other} and {name}; keep one", PARTS[part][0]);
            return Err(Error::file(dir, what));
        }
        found[part] = Some(name);
    }
    Ok(found)
}

fn part_named(name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase();
    PARTS.iter().position(|names| names.contains(&name.as_str()))
}

fn by_folders(dir: &Path, found: [Option<String>; 3], seed: u64) -> Result<Parts> {
    let mut others = others_outside(dir, &found)?;
    let mut listings = Vec::new();
    for name in &found {
        let Some(name) = name else {
            listings.push(Listing::default());
            continue;
        };
        let listing = labelled(&dir.join(name))?;
        if listing.pictures.is_empty() {
            return Err(Error::file(&dir.join(name), format!("contains no pictures ({KINDS})")));
        }
        listings.push(listing);
    }
    let used = || listings.iter().filter(|listing| !listing.pictures.is_empty());
    if used().any(|listing| listing.is_labelled) && used().any(|listing| !listing.is_labelled) {
        let what = "has sub-folders that are labels in one part and none in another; use the same labels in each part";
        return Err(Error::file(dir, what));
    }
    // Labels are numbered alike in all parts.
    let names: Vec<String> =
        used().flat_map(|listing| listing.names.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect();
    let mut pictures = [const { Vec::new() }; 3];
    for (part, listing) in listings.into_iter().enumerate() {
        let label = |own: u16| names.binary_search(&listing.names[usize::from(own)]).expect("all are there");
        let Some(numbers) = (0..listing.names.len()).map(|own| u16::try_from(label(own as u16)).ok()).collect() else {
            return Err(Error::file(dir, format!("contains more than {} labels", u16::MAX)));
        };
        let numbers: Vec<u16> = numbers;
        let relabelled = listing.pictures.into_iter().map(|(own, path)| (numbers[usize::from(own)], path)).collect();
        pictures[part] = shuffled(relabelled, seed, part as u64);
        others.extend(listing.others);
    }
    let mut notes: Vec<String> = others.sentence().into_iter().collect();
    if found[1].is_none() {
        let all = pictures[0].len();
        let count = all / 11; // ten to one, as without sub-folders
        if count == 0 {
            let what = format!(
                "has no sub-folder validation, and train has only {all} of the 11 pictures that are needed to take one from them"
            );
            return Err(Error::file(dir, what));
        }
        pictures[1] = pictures[0].split_off(all - count);
        notes.push(format!(
            "there is no sub-folder validation: {count} of the {all} pictures in train are used, which the seed chooses"
        ));
    }
    Ok(Parts { names, pictures, notes })
}

/// Counts the files beside the folders that are parts.
///
/// # Errors
/// Returns an error if there are pictures among them.
fn others_outside(dir: &Path, parts: &[Option<String>; 3]) -> Result<Others> {
    let (pictures, others) = outside(dir, &parts.iter().flatten().collect::<Vec<_>>())?;
    match pictures.first() {
        None => Ok(others),
        Some(path) => {
            let what = "is in none of the sub-folders train, validation and test; move it into one of them, or set \
                        data.split = \"10:1:1\" to divide all pictures at random";
            Err(Error::file(path, what))
        }
    }
}

fn by_list(dir: &Path, list: &Path, seed: u64) -> Result<Parts> {
    let text = String::from_utf8(file::read(list, file::LIST)?);
    let text = text.map_err(|_| Error::file(list, "is not UTF-8 text"))?;
    let Listing { names, pictures, mut others, .. } = labelled(dir)?;
    if list.starts_with(dir) {
        others.remove(list);
    }
    let all = pictures.len();
    let found = pictures.into_iter().map(|(label, path)| (relative(dir, &path), (label, path)));
    let mut unlisted: HashMap<PathBuf, Labelled> = found.collect();
    let parsed = parse(&text, &mut unlisted).map_err(|what| Error::file(list, what))?;
    let mut notes: Vec<String> = others.sentence().into_iter().collect();
    if !unlisted.is_empty() {
        let (count, list) = (unlisted.len(), list.display());
        let are = if count == 1 { "is" } else { "are" };
        notes.push(format!("{count} of the {all} pictures {are} not in {list} and {are} left out"));
    }
    let mut part = 0..;
    let pictures = parsed.map(|pictures| shuffled(pictures, seed, part.next().expect("endless")));
    Ok(Parts { names, pictures, notes })
}

/// Reads a list. Takes the pictures that it names out of `unlisted`.
fn parse(text: &str, unlisted: &mut HashMap<PathBuf, Labelled>) -> std::result::Result<[Vec<Labelled>; 3], String> {
    let mut parts = [const { Vec::new() }; 3];
    let mut lines: HashMap<PathBuf, usize> = HashMap::new();
    for (line, words) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let words = words.trim();
        if words.is_empty() || line == 1 && words.replace(' ', "") == "path,part" {
            continue;
        }
        let Some((path, part)) = words.rsplit_once(',') else {
            return Err(format!("line {line} is {words:?}, expected a path, a comma and train, validation or test"));
        };
        let (path, part) = (unquoted(path.trim()), unquoted(part.trim()));
        let Some(part) = part_named(&part) else {
            let header = if line == 1 { ", or the header path,part" } else { "" };
            return Err(format!("line {line} names the part {part:?}, expected train, validation or test{header}"));
        };
        let plain = plain(Path::new(&path));
        if let Some(first) = lines.insert(plain.clone(), line) {
            return Err(format!("line {line} names {path} again, which line {first} has; keep one of them"));
        }
        let Some(picture) = unlisted.remove(&plain) else {
            return Err(format!("line {line} names {path}, which is not a picture in data.dir; remove the line"));
        };
        parts[part].push(picture);
    }
    match parts.iter().position(Vec::is_empty) {
        None => Ok(parts),
        Some(empty) => {
            Err(format!("names no {} pictures; add a line path,{} for each", PARTS[empty][0], PARTS[empty][0]))
        }
    }
}

/// Removes the quotes of a CSV field.
fn unquoted(field: &str) -> String {
    let inside = field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inside.map_or_else(|| field.to_owned(), |inside| inside.replace("\"\"", "\""))
}

/// A path without components such as `.`.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|component| *component != Component::CurDir).collect()
}

fn relative(dir: &Path, path: &Path) -> PathBuf {
    plain(path.strip_prefix(dir).unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes empty files; only their names matter here.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        dir
    }

    /// The label and the name of each picture of each part, sorted.
    fn told(dir: &Path, split: &str, seed: u64) -> Result<([Vec<String>; 3], Vec<String>)> {
        let Parts { names, pictures, notes } = parts(dir, &split.to_owned().try_into().unwrap(), seed)?;
        let words = |(label, path): &Labelled| {
            format!("{}: {}", names[usize::from(*label)], path.strip_prefix(dir).unwrap().display())
        };
        let mut pictures = pictures.map(|part| part.iter().map(words).collect::<Vec<_>>());
        pictures.iter_mut().for_each(|part| part.sort_unstable());
        Ok((pictures, notes))
    }

    fn refused(dir: &Path, split: &str) -> String {
        let error = told(dir, split, 1).expect_err(split).to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    }

    #[test]
    fn a_ratio_divides_all_pictures_at_random() {
        let names: Vec<String> = (0..20).map(|i| format!("{i}.png")).collect();
        let dir = folder(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let (three, _) = told(dir.path(), "3:1:1", 1).unwrap();
        assert_eq!(three.each_ref().map(Vec::len), [12, 4, 4]);
        let mut all = three.concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20);
        assert_eq!(told(dir.path(), "3:1:1", 1).unwrap().0, three);
        assert_ne!(told(dir.path(), "3:1:1", 2).unwrap().0, three);
        assert_eq!(told(dir.path(), "auto", 1).unwrap().0, told(dir.path(), "10:1:1", 1).unwrap().0);
        let error = refused(dir.path(), "50:1:2");
        assert!(error.contains("contains 20 pictures") && error.contains("at least 53, to split 50:1:2"), "{error}");
    }

    #[test]
    fn sub_folders_are_parts_and_labels_are_inside_them() {
        let dir = folder(&["Train/a/1.png", "Train/b/2.png", "val/b/3.png", "test/c/4.png", "test/c/5.gif", "README"]);
        for split in ["auto", "folders"] {
            let (pictures, notes) = told(dir.path(), split, 1).unwrap();
            let expected =
                [vec!["a: Train/a/1.png", "b: Train/b/2.png"], vec!["b: val/b/3.png"], vec!["c: test/c/4.png"]];
            assert_eq!(pictures.concat(), expected.concat());
            assert!(notes.len() == 1 && notes[0].starts_with("2 files were skipped: 1 .gif, 1 without"), "{notes:?}");
        }
        let error = refused(dir.path(), "10:1:1"); // the parts are labels here, and there are too few pictures
        assert!(error.contains("contains 4 pictures"), "{error}");
        let valid = dir.path().join("valid");
        std::fs::create_dir(&valid).unwrap();
        assert!(refused(dir.path(), "auto").contains("two sub-folders of validation pictures, val and valid"));
        std::fs::remove_dir(valid).unwrap();
        std::fs::write(dir.path().join("6.png"), b"").unwrap();
        assert!(
            refused(dir.path(), "auto").contains("6.png: is in none of the sub-folders train, validation and test")
        );
        std::fs::remove_file(dir.path().join("6.png")).unwrap();
        std::fs::remove_file(dir.path().join("val/b/3.png")).unwrap();
        assert!(refused(dir.path(), "auto").contains("val: contains no pictures"));
        std::fs::write(dir.path().join("val/7.png"), b"").unwrap();
        assert!(refused(dir.path(), "auto").contains("labels in one part and none in another"));
        let only = folder(&["train/1.png", "photos/2.png"]);
        assert!(refused(only.path(), "folders").contains("has no sub-folder test"));
    }

    #[test]
    fn without_a_folder_of_its_own_validation_is_a_part_of_training() {
        let names: Vec<String> = (0..22).map(|i| format!("train/{i}.png")).chain(["test/0.png".into()]).collect();
        let dir = folder(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let (pictures, notes) = told(dir.path(), "auto", 1).unwrap();
        assert_eq!(pictures.each_ref().map(Vec::len), [20, 2, 1]);
        assert!(pictures[1].iter().all(|name| name.starts_with("picture: train/") && !pictures[0].contains(name)));
        assert!(notes[0].contains("no sub-folder validation: 2 of the 22 pictures in train"), "{notes:?}");
        assert_ne!(told(dir.path(), "auto", 2).unwrap().0[1], pictures[1]);
        let few = folder(&["train/1.png", "test/2.png"]);
        assert!(refused(few.path(), "auto").contains("train has only 1 of the 11 pictures that are needed"));
    }

    /// Such folders are no labels.
    #[test]
    fn two_parts_without_the_third_are_refused() {
        let names: Vec<String> = (0..24).map(|i| format!("train/{i}.png")).chain(["Val/0.png".into()]).collect();
        let dir = folder(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let error = refused(dir.path(), "auto");
        assert!(error.contains("has sub-folders train and Val, but none named test; add it"), "{error}");
        assert_eq!(told(dir.path(), "10:1:1", 1).unwrap().0.map(|part| part.len()), [21, 2, 2]);
        let renamed = dir.path().join("test");
        std::fs::rename(dir.path().join("train"), &renamed).unwrap();
        let error = refused(dir.path(), "auto");
        assert!(error.contains("has sub-folders test and Val, but none named train; add it"), "{error}");
        // One alone is a label.
        std::fs::rename(dir.path().join("Val"), dir.path().join("cats")).unwrap();
        let labels = told(dir.path(), "auto", 1).unwrap().0.concat();
        assert!(labels.contains(&"cats: cats/0.png".to_owned()) && labels.len() == 25, "{labels:?}");
    }

    #[test]
    fn a_list_names_the_part_of_each_picture() {
        let dir = folder(&["a/1.png", "a/2,b.png", "b/3.png", "b/4.png"]);
        let list = |text: &str| std::fs::write(dir.path().join("parts.csv"), text).unwrap();
        list("\u{feff}path,part\r\na/1.png,train\r\n\"a/2,b.png\",val\r\n\r\n./b/3.png,Test\r\n");
        let (pictures, notes) = told(dir.path(), "parts.csv", 1).unwrap();
        assert_eq!(pictures.concat(), ["a: a/1.png", "a: a/2,b.png", "b: b/3.png"]);
        assert!(notes.len() == 1 && notes[0].starts_with("1 of the 4 pictures is not in "), "{notes:?}");
        let whole = "a/1.png,train\nb/4.png,validation\nb/3.png,test\n";
        for (text, says) in [
            (whole.replace("1.png", "9.png"), "parts.csv: line 1 names a/9.png, which is not a picture in data.dir"),
            (whole.replace("a/1.png", "../a/1.png"), "line 1 names ../a/1.png, which is not a picture"),
            (format!("{whole}./b/3.png,train\n"), "line 4 names ./b/3.png again, which line 3 has"),
            (
                whole.replace("test", "held out"),
                "line 3 names the part \"held out\", expected train, validation or test",
            ),
            (whole.replace("validation", "train"), "names no validation pictures; add a line path,validation for each"),
            ("a/1.png\n".into(), "line 1 is \"a/1.png\", expected a path, a comma"),
            (String::new(), "names no train pictures"),
        ] {
            list(&text);
            let error = refused(dir.path(), "parts.csv");
            assert!(error.contains(says), "{error}, expected {says}");
        }
        assert!(refused(dir.path(), "absent.csv").contains("absent.csv: cannot be read"));
        std::fs::write(dir.path().join("parts.csv"), b"\xff").unwrap();
        assert!(refused(dir.path(), "parts.csv").contains("is not UTF-8"));
    }
}
