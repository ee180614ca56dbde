//! File names for the pictures that `decode` and `reconstruct` write, made from the names of images.

use std::collections::HashSet;
use std::path::{Component, Path};

use vae_data::picture;

/// The length of a file name in bytes without its ending. Most file systems allow 255.
const LONGEST: usize = 200;

/// Returns a file name for each image, all different. `cats/1.jpg` is written to `cats-1.png`. Folders that all names begin
/// with are left out. A second picture of the same name is `cats-1-2.png`.
pub(super) fn png_names(names: &[String]) -> Vec<String> {
    let parts: Vec<Vec<String>> = names.iter().map(|name| parts(name)).collect();
    let shared = shared_folders(&parts);
    let mut taken = HashSet::new();
    let mut unused = |parts: &Vec<String>| {
        let mut name = parts[shared.min(parts.len())..].join("-");
        let end = (0..=LONGEST.min(name.len())).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
        name.truncate(end);
        if name.is_empty() {
            name.push_str("image");
        }
        let mut unused = name.clone();
        let mut count = 1_u64;
        while !taken.insert(unused.to_lowercase()) {
            count += 1; // some file systems take A.png and a.png for the same
            unused = format!("{name}-{count}");
        }
        format!("{unused}.png")
    };
    parts.iter().map(&mut unused).collect()
}

/// The folders and the file of a path, without the ending of a picture. The names may come from a file, so nothing in them
/// leads out of a folder.
fn parts(name: &str) -> Vec<String> {
    let path = Path::new(name);
    let stem = if picture::is_picture(path) { path.with_extension("") } else { path.to_owned() };
    let plain = |c: char| if c.is_control() || "\\/:*?\"<>|".contains(c) { '_' } else { c };
    let normal = stem.components().filter_map(|component| match component {
        Component::Normal(part) => Some(part.to_string_lossy().chars().map(plain).collect()),
        _ => None,
    });
    normal.collect()
}

/// The number of folders that all paths begin with.
fn shared_folders(parts: &[Vec<String>]) -> usize {
    let Some(first) = parts.first() else { return 0 };
    let folders = |parts: &Vec<String>| parts.len().saturating_sub(1);
    let same = |other: &Vec<String>| {
        let pairs = first.iter().zip(other).take(folders(first).min(folders(other)));
        pairs.take_while(|(a, b)| a == b).count()
    };
    parts.iter().map(same).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named<const N: usize>(names: [&str; N]) -> Vec<String> {
        png_names(&names.map(str::to_owned))
    }

    #[test]
    fn pictures_keep_their_names_and_none_gets_that_of_another() {
        assert_eq!(
            named(["a.png", "cats/a.jpg", "a.jpg", "A.jpeg", "b.c.png", "v0.5"]),
            ["a.png", "cats-a.png", "a-2.png", "A-3.png", "b.c.png", "v0.5.png"]
        );
        assert_eq!(named(["a-2", "a", "a"]), ["a-2.png", "a.png", "a-3.png"]);
    }

    #[test]
    fn folders_that_all_pictures_share_are_left_out() {
        assert_eq!(named(["/photos/mine/x/a.png", "/photos/mine/y/a.png"]), ["x-a.png", "y-a.png"]);
        assert_eq!(named(["test/00000", "test/00001"]), ["00000.png", "00001.png"]);
        assert_eq!(named(["test/00000", "a.png"]), ["test-00000.png", "a.png"]);
        assert_eq!(named(["deep/a.png"]), ["a.png"]);
    }

    #[test]
    fn no_name_leads_out_of_the_folder_or_is_too_long() {
        let names = named(["../../etc/passwd", "a\nb\u{1b}:c", "", "..", &"é".repeat(500)]);
        assert_eq!(names[..4], ["etc-passwd.png", "a_b__c.png", "image.png", "image-2.png"]);
        assert_eq!(names[4], "é".repeat(100) + ".png");
    }
}
