//! Data sets through the `train` command: a folder of pictures from end to end, and what is said of sets that are not there.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};

/// Runs the command in a folder: exit code, stdout, stderr.
fn train(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let output = crate::train(dir).args(args).args(["--device", "cpu"]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

const SMALL: &[&str] = &["--set", "model.width=2", "--set", "model.z_dim=2", "--set", "train.epochs=1"];
const FOLDER: &[&str] = &["--data-dir", "pictures", "--set", "data.kind=folder", "--set", "data.image_size=32"];

/// A folder with `pictures/`, of two labels.
fn pictures() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..36_u8 {
        let folder = dir.path().join(["pictures/dark", "pictures/light"][usize::from(i % 2)]);
        fs::create_dir_all(&folder).unwrap();
        let shade = |x: u32, y: u32| Rgb([120 * (i % 2) + i, x as u8, y as u8]);
        RgbImage::from_fn(40, 30, shade).save(folder.join(format!("{i}.png"))).unwrap();
    }
    dir
}

#[test]
fn a_folder_of_pictures_trains_and_a_damaged_one_is_named() {
    let dir = pictures();
    let kind = [FOLDER, &["--set", "data.crop=30"]].concat();
    let (code, told, errors) = train(dir.path(), &[SMALL, &kind, &["--out", "run"]].concat());
    assert_eq!(code, 0, "{errors}");
    assert!(told.contains("folder: 30 training, 3 validation, 3 test images; 3×32×32"), "{told}");
    let config = fs::read_to_string(dir.path().join("run/config.toml")).unwrap();
    assert!(config.contains("kind = \"folder\"") && config.contains("crop = \"30\""), "{config}");
    let (code, _, errors) = train(dir.path(), &["--recipe", "run/config.toml", "--out", "again"]);
    assert_eq!(code, 0, "{errors}");
    let last = |run: &str| fs::read(dir.path().join(run).join("checkpoints/last.safetensors")).unwrap();
    assert!(last("run") == last("again"), "the same configuration gives other weights");

    let hurt = dir.path().join("pictures/light/7.png");
    let whole = fs::read(&hurt).unwrap();
    fs::write(&hurt, &whole[..whole.len() / 2]).unwrap();
    let (code, _, errors) = train(dir.path(), &[&kind[..], &["--dry-run"]].concat());
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("light/7.png: is damaged") && errors.lines().count() == 1, "{errors}");
    assert!(errors.contains("set data.skip_damaged = true"), "{errors}");
    let (code, told, errors) =
        train(dir.path(), &[SMALL, &kind, &["--set", "data.skip_damaged=true", "--out", "fewer"]].concat());
    assert!(
        code == 0 && told.contains("\n             1 of the 36 pictures is damaged and was left out: light/7.png\n"),
        "{told}{errors}"
    );
}

/// With a cache, a run has the images that it has without, and a later run decodes nothing. Scores do not need the cache.
#[test]
fn pictures_of_a_cache_are_decoded_once_and_train_the_same_model() {
    let dir = pictures();
    let run = |out: &str, more: &[&str]| {
        let (code, told, errors) = train(dir.path(), &[SMALL, FOLDER, more, &["--out", out]].concat());
        assert_eq!(code, 0, "{errors}");
        (told, fs::read(dir.path().join(out).join("checkpoints/last.safetensors")).unwrap())
    };
    let cache = ["--set", "data.cache=decoded"];
    let (memory, (told, first), (again, second)) = (run("memory", &[]).1, run("first", &cache), run("second", &cache));
    assert!(
        told.contains("             36 pictures were decoded into ") && !again.contains("decoded"),
        "{told}{again}"
    );
    assert!(memory == first && first == second, "other weights");
    let config = fs::read_to_string(dir.path().join("first/config.toml")).unwrap();
    let whole = dir.path().canonicalize().unwrap().join("decoded");
    assert!(config.contains(&format!("cache = {:?}", whole.display().to_string())), "{config}");
    fs::remove_dir_all(&whole).unwrap();
    let scores = crate::vae(dir.path(), &["evaluate", "first", "--device", "cpu"]);
    assert!(scores.status.success() && !whole.exists(), "{}", String::from_utf8_lossy(&scores.stderr));
}

/// The first lines of a run say what was not used of the user's pictures.
#[test]
fn a_run_says_what_it_leaves_out_of_a_folder() {
    let dir = pictures();
    for name in ["dark/a.gif", "dark/b.gif", "light/notes.txt"] {
        fs::write(dir.path().join("pictures").join(name), "").unwrap();
    }
    let first_lines = |settings: &[&str]| {
        let (code, told, errors) = train(dir.path(), &[SMALL, FOLDER, &["--dry-run"], settings].concat());
        assert_eq!(code, 0, "{errors}");
        told
    };
    let told = first_lines(&[]);
    let lines: Vec<&str> = told.lines().skip(3).take(2).map(str::trim).collect();
    assert_eq!(lines[0], "3 files were skipped: 2 .gif, 1 .txt; pictures are .jpg, .jpeg, .png, .webp, .bmp");
    assert!(
        lines[1].starts_with("36 of 36 pictures are not square: the largest square around the centre is used"),
        "{told}"
    );
    let told = first_lines(&["--set", "data.crop=none"]);
    assert!(told.contains("36 of 36 pictures are not square and are stretched (data.crop = \"none\""), "{told}");
    let (_, plan, _) = train(dir.path(), &[SMALL, FOLDER, &["--dry-run", "--json"]].concat());
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["data"]["notes"].as_array().unwrap().len(), 2);
}

/// The configuration of an old run names its crop and has no split. It keeps both.
#[test]
fn an_old_configuration_keeps_its_crop() {
    let dir = pictures();
    fs::write(
        dir.path().join("old.toml"),
        "[data]\nkind = \"folder\"\ndir = \"pictures\"\nimage_size = 32\ncrop = \"none\"\n",
    )
    .unwrap();
    let (code, told, errors) = train(dir.path(), &[SMALL, &["--recipe", "old.toml", "--out", "run"]].concat());
    assert!(
        code == 0 && told.contains("30 training, 3 validation, 3 test") && told.contains("are stretched"),
        "{told}{errors}"
    );
    let config = fs::read_to_string(dir.path().join("run/config.toml")).unwrap();
    assert!(config.contains("crop = \"none\"") && config.contains("split = \"auto\""), "{config}");
}

/// Pictures are divided by a ratio, by sub-folders, or by a list.
#[test]
fn users_divide_their_pictures_as_they_like() {
    let dir = pictures();
    let counts = |settings: &[&str]| {
        let (code, told, errors) = train(dir.path(), &[SMALL, FOLDER, &["--dry-run"], settings].concat());
        if code != 0 {
            assert_eq!(errors.lines().count(), 1, "{errors}");
            return errors;
        }
        told.lines().find_map(|line| line.split("folder: ").nth(1)).unwrap().split(" images").next().unwrap().to_owned()
    };
    assert_eq!(counts(&[]), "30 training, 3 validation, 3 test");
    assert_eq!(counts(&["--set", "data.split=1:1:2"]), "9 training, 9 validation, 18 test");
    assert!(counts(&["--set", "data.split=1:1"]).contains("a ratio of three whole numbers above 0 such as `8:1:1`"));
    assert!(counts(&["--set", "data.split=folders"]).contains("pictures: has no sub-folder train"));
    let list: String = (0..36)
        .map(|i| format!("{}/{i}.png,{}\n", ["dark", "light"][i % 2], ["train", "test", "validation"][i % 3]))
        .collect();
    fs::write(dir.path().join("pictures/parts.csv"), format!("path,part\n{list}")).unwrap();
    assert_eq!(counts(&["--set", "data.split=parts.csv"]), "12 training, 12 validation, 12 test");
    fs::write(dir.path().join("pictures/parts.csv"), list.replace("validation", "train")).unwrap();
    assert!(counts(&["--set", "data.split=parts.csv"]).contains("parts.csv: names no validation pictures"));
    assert!(counts(&["--set", "data.split=gone.csv"]).contains("gone.csv: cannot be read"));
    for (part, label) in [("train", "dark"), ("test", "light")] {
        fs::create_dir_all(dir.path().join("pictures").join(part)).unwrap();
        fs::rename(dir.path().join("pictures").join(label), dir.path().join("pictures").join(part).join("all"))
            .unwrap();
    }
    assert_eq!(counts(&[]), "17 training, 1 validation, 18 test");
    // A whole run, whose test images have the names of their files.
    let (code, _, errors) = train(dir.path(), &[SMALL, FOLDER, &["--out", "run"]].concat());
    assert_eq!(code, 0, "{errors}");
    let png = crate::vae(dir.path(), &["reconstruct", "run", "test", "--png", "out"]);
    assert_eq!(crate::done(&png), "18 images: out\n");
    assert!(dir.path().join("out/35.png").is_file());
}

/// Every kind of model on images whose files alone say how many labels there are, noisy and to be given back clean.
#[test]
fn labels_of_a_folder_are_counted_before_a_model_is_told_them() {
    let dir = pictures();
    let noisy = ["--set", "data.noise_std=0.1", "--set", "data.augment=flip"];
    for (out, model, clean) in [
        ("classifier", "model.kind=classifier", "noisy"),
        ("conditional", "model.conditional=true", "clean"),
        ("vq", "model.kind=vq", "clean"),
    ] {
        let clean = format!("data.noise_target={clean}");
        let args = [SMALL, FOLDER, &noisy, &["--set", model, "--set", &clean, "--out", out]].concat();
        let (code, _, errors) = train(dir.path(), &[&args[..], &["--set", "data.classes=2"]].concat());
        assert_eq!(code, 0, "{out}: {errors}");
        let (code, _, errors) = train(dir.path(), &args);
        assert!(out == "vq" || code == 2 && errors.contains("only the files say how many labels"), "{out}: {errors}");
    }
    let table = fs::read_to_string(dir.path().join("classifier/confusion.csv")).unwrap();
    assert_eq!(table.lines().count(), 3, "{table}");
    let (code, _, errors) = train(dir.path(), &[FOLDER, &["--dry-run", "--set", "data.classes=1"]].concat());
    assert!(code == 2 && errors.contains("have 2 labels; set data.classes = 2"), "{errors}");
}

/// The mean and the standard deviation of its pictures are in its checkpoint.
#[test]
fn a_classifier_that_extracts_features_needs_no_pictures() {
    let dir = pictures();
    let standard = ["data.normalise=standard", "loss.reconstruction=sse", "model.output=linear", "data.classes=2"];
    let standard = standard.iter().flat_map(|setting| ["--set", *setting]).collect::<Vec<_>>();
    let classifier = ["--set", "model.kind=classifier", "--out", "classifier"];
    let shapes =
        ["--set", "data.kind=shapes", "--set", "data.images=240", "--set", "data.image_size=32", "--out", "shapes"];
    for args in [[SMALL, FOLDER, &standard, &classifier].concat(), [SMALL, &shapes].concat()] {
        let (code, _, errors) = train(dir.path(), &args);
        assert_eq!(code, 0, "{errors}");
    }
    fs::remove_dir_all(dir.path().join("pictures")).unwrap();
    crate::done(&crate::vae(dir.path(), &["evaluate", "shapes", "--images", "20", "--extractor", "classifier"]));
}

/// A grid over kinds of images: drawn ones, and a folder's.
#[test]
fn a_grid_takes_any_kind_of_images() {
    let dir = pictures();
    let grid = ["--sweep", "data.kind=shapes,folder", "--out", "grid", "--set", "data.channels=1", "--download"];
    let (code, _, errors) = train(dir.path(), &[SMALL, FOLDER, &["--limit", "24"], &grid].concat());
    assert_eq!(code, 0, "{errors}");
    for kind in ["shapes", "folder"] {
        assert!(dir.path().join(format!("grid/kind={kind}/samples.png")).exists(), "{kind}");
    }
    let missing = ["--sweep", "data.kind=shapes,celeba", "--out", "missing", "--download"];
    let (code, _, errors) = train(dir.path(), &missing);
    assert!(code == 2 && errors.contains("CelebA.html") && !dir.path().join("missing").exists(), "{errors}");
}

#[test]
fn what_is_not_there_is_named_with_its_files_and_where_they_are_published() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, files, address) in [
        ("stl10", "stl10_binary/ with train_X.bin", "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"),
        ("stanford-dogs", "train_list.mat", "http://vision.stanford.edu/aditya86/ImageNetDogs/lists.tar"),
        ("celeba", "list_eval_partition.txt", "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"),
        ("binarized-mnist", "binarized_mnist_valid.amat", "http://www.cs.toronto.edu/~larocheh/public/datasets/"),
        ("chairs", "rendered_chairs/", "https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar"),
        ("dsprites", "dsprites_ndarray", "https://github.com/google-deepmind/dsprites-dataset"),
        ("cifar10", "cifar-10-batches-bin", "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"),
        ("fashion-mnist", "FashionMNIST/raw/", "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
    ] {
        let kind = format!("data.kind={kind}");
        let (code, _, errors) = train(dir.path(), &["--set", &kind, "--data-dir", "sets"]);
        assert!(code == 1 && errors.starts_with("error: sets: ") && errors.lines().count() == 1, "{code} {errors}");
        assert!([files, address, "--data-dir"].iter().all(|words| errors.contains(words)), "{errors}");
        let (code, told, errors) = train(dir.path(), &["--set", &kind, "--dry-run"]);
        assert!(code == 1 && errors.contains("cannot start") && errors.lines().count() == 1, "{code} {errors}");
        assert!(told.contains(address) && told.contains("not found"), "{told}");
    }
    let (code, _, errors) = train(dir.path(), &["--set", "data.kind=folder", "--data-dir", "sets"]);
    assert!(code == 1 && errors.contains("sets: cannot be read"), "{errors}");
}

#[test]
fn only_what_is_published_and_missing_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, says) in
        [("celeba", "CelebA.html"), ("folder", "--data-dir"), ("binarized-mnist", "binarized_mnist/ under")]
    {
        let (code, _, errors) = train(dir.path(), &["--download", "--set", &format!("data.kind={kind}")]);
        assert!(code == 2 && errors.contains(says) && errors.lines().count() == 1, "{code} {errors}");
    }
    let (code, _, errors) = train(dir.path(), &["--download", "--dry-run"]); // the digits are inside the program
    assert!(code == 0 && errors.is_empty(), "{errors}");
}
