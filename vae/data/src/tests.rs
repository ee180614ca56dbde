//! The files of each data set: which ones it needs, and where they may be.

use std::path::Path;

use vae_core::data::Split;

use super::*;

/// The folder of each data set, and what it needs there. A name that ends in a slash is a folder.
fn layouts() -> Vec<(DataKind, &'static str, Vec<&'static str>)> {
    let idx = vec![
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte",
    ];
    let cifar = vec![
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ];
    let amat = vec!["binarized_mnist_train.amat", "binarized_mnist_valid.amat", "binarized_mnist_test.amat"];
    let stl = vec!["train_X.bin", "train_y.bin", "unlabeled_X.bin", "test_X.bin", "test_y.bin"];
    vec![
        (DataKind::Mnist, "MNIST/raw", idx.clone()),
        (DataKind::FashionMnist, "FashionMNIST/raw", idx),
        (DataKind::Cifar10, "cifar-10-batches-bin", cifar),
        (DataKind::Stl10, "stl10_binary", stl),
        (DataKind::StanfordDogs, "stanford-dogs", vec!["Images/", "Annotation/", "train_list.mat", "test_list.txt"]),
        (DataKind::Celeba, "celeba", vec!["img_align_celeba/", "list_eval_partition.txt"]),
        (DataKind::Chairs, "rendered_chairs", vec!["chair/renders/"]),
        (DataKind::BinarizedMnist, "binarized_mnist", amat),
        (DataKind::Dsprites, "dsprites", vec!["dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"]),
        (DataKind::Folder, "any/folder", vec!["picture.jpg"]),
    ]
}

fn config(kind: DataKind, dir: &Path) -> Config {
    let mut config = Config::default();
    (config.data.kind, config.data.dir) = (kind, dir.display().to_string());
    config
}

fn put(path: &Path, is_folder: bool) {
    std::fs::create_dir_all(if is_folder { path } else { path.parent().unwrap() }).unwrap();
    if !is_folder {
        std::fs::write(path, b"not read").unwrap();
    }
}

/// A data set is there if all of its files are, in its own folder or directly in the data folder.
#[test]
fn files_exist_if_none_is_missing() {
    for (kind, folder, needed) in layouts() {
        for folder in [folder, ""] {
            for missing in 0..=needed.len() {
                let dir = tempfile::tempdir().unwrap();
                let place = dir.path().join(folder);
                std::fs::create_dir_all(&place).unwrap();
                for name in needed.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, name)| name) {
                    put(&place.join(name), name.ends_with('/'));
                }
                let there = files_exist(&config(kind, dir.path()));
                assert_eq!(there, missing == needed.len(), "{kind} without {:?}", needed.get(missing));
            }
        }
    }
    for kind in [DataKind::Digits, DataKind::Shapes] {
        assert!(files_exist(&config(kind, Path::new("nowhere"))), "{kind} needs no files");
    }
}

#[test]
fn each_kind_of_data_set_is_loaded() {
    let mut shapes = config(DataKind::Shapes, Path::new("nowhere"));
    shapes.data.images = 24;
    let count = |dataset: &Dataset| [&dataset.train, &dataset.validation, &dataset.test].map(Split::count);
    let loaded = load(&shapes).unwrap();
    assert_eq!((count(&loaded).iter().sum::<usize>(), loaded.notes.len()), (24, 0));
    let digits = load(&config(DataKind::Digits, Path::new("nowhere"))).unwrap();
    assert_eq!(digits.classes(), 10);

    let dir = tempfile::tempdir().unwrap();
    for i in 0..24 {
        image::GrayImage::from_pixel(4, 4, image::Luma([i])).save(dir.path().join(format!("{i}.png"))).unwrap();
    }
    std::fs::write(dir.path().join("notes.txt"), b"no picture").unwrap();
    let mut own = config(DataKind::Folder, dir.path());
    own.data.image_size = Some(4);
    let own = load(&own).unwrap();
    assert_eq!((count(&own).iter().sum::<usize>(), own.notes.len()), (24, 1));
    assert!(own.notes[0].starts_with("1 file was skipped: 1 .txt"), "{:?}", own.notes);
    for (kind, folder, _) in layouts().into_iter().filter(|(kind, ..)| *kind != DataKind::Folder) {
        let error = load(&config(kind, &dir.path().join("none"))).unwrap_err().to_string();
        assert!(error.contains(&format!("{kind} not found")) && error.contains(folder), "{error}");
    }
}
