//! Stanford Dogs: 12,000 pictures of 120 breeds for training and 8,580 for validation. Each picture is cropped to the
//! bounding box of the dog and stretched to a square. The transfer paper, which uses the data set in this way, has no
//! third split, so the test split is the same as the validation split.
//!
//! ```text
//! stanford-dogs/  (its files may also be directly in data.dir)
//!   Images/n02085620-Chihuahua/n02085620_10074.jpg
//!   Annotation/n02085620-Chihuahua/n02085620_10074      VOC's XML: annotation/object/bndbox/{xmin, ymin, xmax, ymax}
//!   train_list.mat, test_list.mat                       the cell array file_list; or train_list.txt, one name per line
//! ```
//!
//! If an annotation has several objects, the first one counts. A box that extends past the edge of the picture is
//! clipped. The label of a breed is the index of its folder in sorted order, which is the published `labels` minus 1.
//! (<http://vision.stanford.edu/aditya86/ImageNetDogs/>)

use std::collections::{BTreeSet, HashSet};
use std::path::{Component, Path, PathBuf};

use roxmltree::{Document, Node};
use vae_core::config::{Config, DataKind};
use vae_core::data::unpack;
use vae_core::data::{Images, Split};
use vae_core::{Error, Result};

use crate::file;
use crate::picture::{Picture, Region};
use crate::pictures::{self, shuffled};
use crate::{archives, mat};

/// The maximum size in bytes of an annotation. The published ones have 3 KB. XML parsers compare all attributes and
/// namespaces with each other, so that a crafted file of 64 KB can take seconds.
const LARGEST_ANNOTATION: u64 = 1 << 14;

/// Returns the training, validation and test images.
///
/// # Errors
/// Returns an error if a file is missing, is damaged, or does not belong to this data set. It names the first such
/// file, what the file contains, and what was expected.
pub fn splits(config: &Config) -> Result<[Split; 3]> {
    let dir = config.data.dir.as_ref();
    let Some(folder) = folder(dir) else {
        let layout = "stanford-dogs/ with Images/, Annotation/, train_list.mat and test_list.mat";
        return Err(archives::missing(DataKind::StanfordDogs, dir, layout));
    };
    // The lists are sorted by breed, and scores and `data.limit` take the first pictures.
    let names = |name: &str, stream| Ok::<_, Error>(shuffled(list(&folder, name)?, config.seed, stream));
    let (mut train, test) = (names("train_list", 0)?, names("test_list", 1)?);
    let breeds: BTreeSet<&str> = train.iter().chain(&test).map(|name| breed(name)).collect();
    let breeds: Vec<String> = breeds.into_iter().map(str::to_owned).collect();
    if breeds.len() > usize::from(u16::MAX) {
        return Err(Error::file(
            &folder,
            format!("lists {} breeds, but at most {} are supported", breeds.len(), u16::MAX),
        ));
    }
    if config.data.limit > 0 {
        train.truncate(config.data.limit);
    }
    let read = |names: &[String]| -> Result<Images> {
        let pictures = names.iter().map(|name| cropped(&folder, name)).collect::<Result<Vec<_>>>()?;
        let number = |name: &String| {
            breeds.binary_search_by(|known| known.as_str().cmp(breed(name))).expect("all are there") as u16
        };
        let labels = names.iter().map(number).collect();
        Ok(pictures::images(&pictures, labels, config)?.with_class_names(&breeds))
    };
    let (train, validation) = (Split::all(read(&train)?), Split::all(read(&test)?));
    Ok([train, validation.clone(), validation])
}

/// Returns whether the folders and lists exist.
pub fn files_exist(dir: &Path) -> bool {
    folder(dir).is_some()
}

fn folder(dir: &Path) -> Option<PathBuf> {
    let holds = |folder: &PathBuf| {
        let listed = ["train_list", "test_list"].iter().all(|name| list_file(folder, name).is_some());
        listed && folder.join("Images").is_dir() && folder.join("Annotation").is_dir()
    };
    [dir.join("stanford-dogs"), dir.to_path_buf()].into_iter().find(holds)
}

fn list_file(folder: &Path, name: &str) -> Option<PathBuf> {
    ["mat", "txt"].map(|kind| folder.join(name).with_extension(kind)).into_iter().find(|path| path.is_file())
}

/// Returns the pictures in a list, as `breed/picture.jpg`.
fn list(folder: &Path, name: &str) -> Result<Vec<String>> {
    let path = list_file(folder, name).unwrap_or_else(|| folder.join(name));
    let bytes = file::read(&path, file::LIST)?;
    let fail = |what: String| Error::file(&path, what);
    let names = if path.extension().is_some_and(|kind| kind == "mat") {
        mat::cell_strings(&bytes, "file_list").map_err(fail)?
    } else {
        unpack::refuse_web_page(&bytes, "a list of pictures").map_err(fail)?;
        let text = String::from_utf8(bytes).map_err(|_| fail("is not a text file of names".into()))?;
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    if names.is_empty() {
        return Err(fail("lists no pictures".into()));
    }
    let inside = |name: &&String| {
        let parts: Vec<_> = Path::new(name).components().collect();
        parts.len() == 2 && parts.iter().all(|part| matches!(part, Component::Normal(_)))
    };
    if let Some(name) = names.iter().find(|name| !inside(name)) {
        return Err(fail(format!("lists {name:?}, expected breed/picture.jpg")));
    }
    let mut known = HashSet::new();
    match names.iter().find(|name| !known.insert(name.as_str())) {
        Some(name) => Err(fail(format!("lists {name} twice"))),
        None => Ok(names),
    }
}

fn breed(name: &str) -> &str {
    name.split('/').next().unwrap_or_default()
}

/// Returns a picture, cropped to the box of its first dog.
fn cropped(folder: &Path, name: &str) -> Result<Picture> {
    let path = folder.join("Annotation").join(Path::new(name).with_extension(""));
    Ok(Picture { path: folder.join("Images").join(name), region: Region::Box(bounds(&path)?) })
}

/// Returns xmin, ymin, xmax and ymax, in pixels, of the first object in an annotation file.
///
/// # Errors
/// Returns an error if the file cannot be read, is not XML, declares entities, or does not contain these numbers.
pub fn bounds(annotation: &Path) -> Result<[i64; 4]> {
    parse(&file::read(annotation, LARGEST_ANNOTATION)?).map_err(|what| Error::file(annotation, what))
}

fn parse(xml: &[u8]) -> std::result::Result<[i64; 4], String> {
    let text = std::str::from_utf8(xml).map_err(|_| "is not XML: it is not a text file")?;
    let tree = Document::parse(text).map_err(|error| format!("is not an annotation in VOC's XML: {error}"))?;
    let object = child(tree.root_element(), "object").ok_or("has no <object>")?;
    let found = child(object, "bndbox").ok_or("has no <bndbox> in its first <object>")?;
    let mut edges = [0; 4];
    for (edge, name) in edges.iter_mut().zip(["xmin", "ymin", "xmax", "ymax"]) {
        let number = child(found, name).and_then(|node| node.text()).and_then(|text| text.trim().parse::<i64>().ok());
        *edge = number.ok_or_else(|| format!("has no integer in <{name}> of its first <bndbox>"))?;
    }
    Ok(edges)
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|child| child.has_tag_name(name))
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    const BLACK: [u8; 3] = [0; 3];
    const WHITE: [u8; 3] = [255; 3];

    fn object([left, top, right, bottom]: [i64; 4]) -> String {
        format!(
            "<object><name>dog</name><pose>Unspecified</pose><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>\
             <xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        )
    }

    /// Writes a picture of 20×10 pixels, white inside `dog` and black outside, and an annotation with these objects.
    fn put(folder: &Path, name: &str, dog: [u32; 4], objects: &[[i64; 4]]) {
        let path = folder.join("Images").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let inside = |x, y| dog[0] <= x && x < dog[2] && dog[1] <= y && y < dog[3];
        let picture = RgbImage::from_fn(20, 10, |x, y| Rgb(if inside(x, y) { WHITE } else { BLACK }));
        picture.save_with_format(&path, image::ImageFormat::Png).unwrap(); // some of the published .jpg files are PNG as well
        let path = folder.join("Annotation").join(name).with_extension("");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let objects: String = objects.iter().map(|&edges| object(edges)).collect();
        std::fs::write(path, format!("<annotation><folder>02085620</folder>{objects}</annotation>\n")).unwrap();
    }

    fn fake(dir: &Path) -> PathBuf {
        let folder = dir.join("stanford-dogs");
        put(&folder, "b-pug/one.jpg", [4, 2, 12, 9], &[[4, 2, 12, 9], [0, 0, 3, 3]]);
        put(&folder, "a-chow/two.jpg", [10, 0, 20, 10], &[[10, -4, 33, 20]]);
        put(&folder, "c-corgi/three.jpg", [0, 0, 20, 10], &[[0, 0, 20, 10]]);
        std::fs::write(folder.join("train_list.txt"), "b-pug/one.jpg\na-chow/two.jpg\n").unwrap();
        std::fs::write(folder.join("test_list.txt"), "c-corgi/three.jpg\n").unwrap();
        folder
    }

    fn config(dir: &Path) -> Config {
        let mut config = Config::default();
        (config.data.kind, config.data.dir) = (DataKind::StanfordDogs, dir.display().to_string());
        config
    }

    #[test]
    fn dogs_fill_their_squares() {
        let dir = tempfile::tempdir().unwrap();
        fake(dir.path());
        let [train, validation, test] = splits(&config(dir.path())).unwrap();
        assert_eq!([train.count(), validation.count(), test.count()], [2, 1, 1]);
        let mut labels = [train.label(0), train.label(1)];
        labels.sort_unstable();
        assert_eq!((labels, validation.label(0)), ([0, 1], 2));
        assert_eq!(train.images().class_names(), ["a-chow", "b-pug", "c-corgi"]);
        assert_eq!(train.images().size(), [64, 64]);
        let mut image = vec![0; 3 * 64 * 64];
        for split in [&train, &validation] {
            for place in 0..split.count() {
                split.read(place, &mut image).unwrap();
                assert!(image.iter().all(|&x| x == 255), "{place}");
            }
        }
        let mut few = config(dir.path());
        few.data.limit = 1;
        assert_eq!(splits(&few).unwrap()[0].count(), 1);
    }

    #[test]
    fn matlab_lists_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let list: &[u8] = include_bytes!("../tests/fixtures/list-packed.mat");
        ["train_list.mat", "test_list.mat"].iter().for_each(|name| std::fs::write(folder.join(name), list).unwrap());
        for name in ["n02085620-Chihuahua/n02085620_5927", "n02085620-Chihuahua/n02085620_4441"] {
            put(folder, &format!("{name}.jpg"), [0, 0, 5, 5], &[[0, 0, 5, 5]]);
        }
        put(folder, "n02116738-African_hunting_dog/n02116738_9818.jpg", [0, 0, 5, 5], &[[0, 0, 5, 5]]);
        let [train, ..] = splits(&config(folder)).unwrap();
        let mut labels = [0, 1, 2].map(|place| train.label(place));
        labels.sort_unstable();
        assert_eq!(labels, [0, 0, 1]);
    }

    /// The published lists are sorted by breed.
    #[test]
    fn the_first_dogs_are_of_many_breeds() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("stanford-dogs");
        let names: Vec<String> = (0..20).map(|i| format!("{}/{i}.jpg", ["a", "b", "c", "d"][i / 5])).collect();
        names.iter().for_each(|name| put(&folder, name, [0, 0, 5, 5], &[[0, 0, 5, 5]]));
        ["train_list.txt", "test_list.txt"]
            .iter()
            .for_each(|list| std::fs::write(folder.join(list), names.join("\n")).unwrap());
        let [train, _, test] = splits(&config(dir.path())).unwrap();
        let first = |split: &Split| (0..5).map(|place| split.label(place)).collect::<BTreeSet<_>>();
        assert!(first(&train).len() > 1 && first(&test).len() > 1, "{:?}, {:?}", first(&train), first(&test));
    }

    #[test]
    fn errors_name_the_problem() {
        let dir = tempfile::tempdir().unwrap();
        let says = || splits(&config(dir.path())).unwrap_err().to_string();
        let missing = says();
        assert!(missing.contains("Annotation/") && missing.contains("ImageNetDogs/images.tar"), "{missing}");
        let folder = fake(dir.path());
        let many: String = (0..1 << 16).map(|breed| format!("{breed}/one.jpg\n")).collect();
        for (name, text, what) in [
            ("train_list.txt", "../../etc/passwd\n", "expected breed/picture.jpg"),
            ("train_list.txt", "b-pug/deep/one.jpg\n", "expected breed/picture.jpg"),
            ("train_list.txt", "one.jpg\n", "expected breed/picture.jpg"),
            ("train_list.txt", "b-pug/one.jpg\na-chow/two.jpg\nb-pug/one.jpg\n", "lists b-pug/one.jpg twice"),
            ("train_list.txt", &many, "lists 65537 breeds, but at most 65535"),
            ("train_list.txt", many.split_once("65534/").unwrap().0, "/one: cannot be read"), // 65535 breeds
            ("train_list.txt", "\n", "lists no pictures"),
            ("test_list.txt", "<html>", "web page"),
            ("Annotation/b-pug/one", "<annotation></annotation>", "has no <object>"),
            ("Annotation/b-pug/one", "<annotation><object></object></annotation>", "has no <bndbox>"),
            ("Annotation/b-pug/one", "<annotation", "not an annotation in VOC's XML"),
            ("Annotation/b-pug/one", &" ".repeat(1 + (1 << 14)), "has more than 16384 bytes"),
            ("Annotation/b-pug/one", "<!DOCTYPE x [<!ENTITY a 'b'>]><annotation/>", "not an annotation in VOC's XML"),
            ("Annotation/b-pug/one", &format!("<a>{}</a>", object([90, 0, 95, 5])), "contains no pixel"),
            ("Annotation/b-pug/one", &format!("<a>{}</a>", object([0; 4]).replace("<xmax>0", "<xmax>zero")), "<xmax>"),
            ("Images/a-chow/two.jpg", "nothing", "neither JPEG, PNG, WebP nor BMP; download it again"),
            ("train_list.mat", "nothing", "not a MATLAB file"),
        ] {
            let good = std::fs::read(folder.join(name)).ok();
            std::fs::write(folder.join(name), text).unwrap();
            let message = says();
            assert!(message.contains(what) && !message.contains('\n'), "{what}: {message}");
            match good {
                Some(good) => std::fs::write(folder.join(name), good).unwrap(),
                None => std::fs::remove_file(folder.join(name)).unwrap(),
            }
        }
    }
}
