//! `vae encode`, `decode`, `reconstruct`, `sample` and `info`: images to latents and back, and the contents of files.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::{done, refused, train, vae};

fn run(command: &str, dir: &Path, words: &[&str]) -> Output {
    vae(dir, &[&[command], words].concat())
}

/// A run of a second on 240 drawn shapes of 16 pixels, 20 of them to test on.
fn trained(dir: &Path, out: &str, settings: &[&str]) {
    let small = [
        "data.kind=shapes",
        "data.images=240",
        "data.image_size=16",
        "model.kind=dense",
        "model.hidden=8",
        "model.z_dim=3",
        "train.epochs=1",
    ];
    let settings = small.iter().chain(settings).flat_map(|setting| ["--set", setting]);
    done(&train(dir).args(settings).args(["--device", "cpu", "--out", out]).output().unwrap());
}

/// The header of an array in what `encode` wrote, which packs nothing, and the bytes from its numbers on.
fn array<'a>(npz: &'a [u8], name: &str) -> (String, &'a [u8]) {
    let place = |bytes: &[u8], words: &[u8]| bytes.windows(words.len()).position(|window| window == words).unwrap();
    let named = &npz[place(npz, name.as_bytes())..];
    let array = &named[place(named, b"\x93NUMPY")..];
    (String::from_utf8(array[10..128].to_vec()).unwrap(), &array[128..])
}

/// The names in what `encode` wrote.
fn names(npz: &[u8]) -> Vec<String> {
    let (header, bytes) = array(npz, "names.npy");
    let number = |start: &str, end: char| -> usize {
        header.split(start).nth(1).and_then(|rest| rest.split(end).next()).unwrap().parse().unwrap()
    };
    let [width, count] = [number("'<U", '\''), number("(", ',')];
    let character = |x: &[u8]| char::from_u32(u32::from_le_bytes(x.try_into().unwrap())).unwrap();
    let text = |x: &[u8]| x.chunks_exact(4).map(character).filter(|&c| c != '\0').collect();
    bytes.chunks_exact(4 * width).take(count).map(text).collect()
}

#[test]
fn the_examples_work() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "runs/quickstart", &[]);
    fs::create_dir(dir.join("photos")).unwrap();
    for name in ["photos/1.png", "photos/2.png", "a.png", "b.png"] {
        image::RgbImage::from_pixel(20, 30, image::Rgb([200, 100, 0])).save(dir.join(name)).unwrap();
    }
    for (command, count) in
        [("encode", 3), ("decode", 2), ("reconstruct", 4), ("sample", 4), ("info", 5), ("doctor", 2)]
    {
        let help = done(&run(command, dir, &["--help"]));
        let examples: Vec<&str> = help.lines().filter(|line| line.starts_with(&format!("  vae {command} "))).collect();
        assert_eq!(examples.len(), count, "{help}");
        for example in examples {
            let words: Vec<&str> = example.trim().split("  ").next().unwrap().split(' ').skip(2).collect();
            done(&run(command, dir, &words));
        }
    }
    assert_eq!(fs::read_dir(dir.join("decoded")).unwrap().count(), 20);
    assert_eq!(image::open(dir.join("tame/00015.png")).unwrap().width(), 16);
}

#[test]
fn what_is_encoded_is_decoded_to_the_same_pictures_by_either_way() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &[]);
    assert_eq!(done(&run("encode", dir, &["run", "test", "--out", "test.npz"])), "20 images, z = 3: test.npz\n");
    let npz = fs::read(dir.join("test.npz")).unwrap();
    let (header, mu) = array(&npz, "mu.npy");
    assert!(header.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (20, 3), }"), "{header}");
    let mu: Vec<f32> = mu.chunks_exact(4).take(60).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect();
    assert!(mu.iter().any(|x| *x != mu[0]) && mu.iter().all(|x| x.is_finite()));
    assert!(array(&npz, "logvar.npy").0.contains("(20, 3)") && array(&npz, "labels.npy").0.contains("'<i8'"));
    assert_eq!(names(&npz)[7], "test/00007");
    done(&run("encode", dir, &["run", "test", "--out", "again.npz"]));
    assert_eq!(fs::read(dir.join("again.npz")).unwrap(), npz, "equal images are equal bytes");

    let told = done(&run("decode", dir, &["run", "test.npz", "--png", "png", "--out", "pixels.npy"]));
    assert_eq!(told, "20 images: pixels.npy\n20 images: png\n");
    let pixels = fs::read(dir.join("pixels.npy")).unwrap();
    assert_eq!(pixels.len(), 128 + 4 * 20 * 256);
    let png = image::open(dir.join("png/00007.png")).unwrap().into_luma8();
    let number = |i: usize| f32::from_le_bytes(pixels[128 + 4 * (7 * 256 + i)..][..4].try_into().unwrap());
    assert!((0..256).all(|i| (number(i) * 255.0).round() as u8 == png.as_raw()[i]));

    // What a run draws at its end are its first samples; another seed is another, no temperature is none.
    let first = |words: &[&str], place: &str| {
        done(&run("sample", dir, &[&["run", "--png", place], words].concat()));
        fs::read(dir.join(place).join("00000.png")).unwrap()
    };
    let one = first(&["-n", "3"], "three");
    assert_eq!(one, first(&["-n", "3", "--seed", "1"], "seeded"), "the run's seed is 1");
    assert_ne!(one, first(&["-n", "3", "--seed", "8"], "other"));
    let still = first(&["-n", "3", "--temperature", "0"], "still");
    assert_eq!(still, fs::read(dir.join("still/00002.png")).unwrap());
    assert!(!fs::read_dir(dir).unwrap().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with('.')));
}

#[test]
fn reconstruct_is_encode_and_decode_in_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &[]);
    let read = |path: &str| fs::read(dir.join(path)).unwrap();
    done(&run("encode", dir, &["run", "test", "--out", "test.npz"]));
    done(&run("decode", dir, &["run", "test.npz", "--png", "steps"]));
    assert_eq!(done(&run("reconstruct", dir, &["run", "test", "--png", "once"])), "20 images: once\n");
    for i in 0..20 {
        assert_eq!(read(&format!("steps/{i:05}.png")), read(&format!("once/{i:05}.png")), "{i}");
    }
    // The files of a folder, of its sub-folders and from elsewhere; two are called alike.
    for (name, grey) in [("set/a.png", 10), ("set/b.png", 250), ("deep/cats/a.png", 90), ("a.png", 200)] {
        fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        image::GrayImage::from_pixel(20, 30, image::Luma([grey])).save(dir.join(name)).unwrap();
    }
    let said = done(&run("reconstruct", dir, &["run", "set", "deep", "a.png", "--png", "seen"]));
    assert_eq!(said, "4 images: seen\n");
    let mut names: Vec<_> = fs::read_dir(dir.join("seen")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["a.png", "deep-cats-a.png", "set-a.png", "set-b.png"]);
    done(&run("encode", dir, &["run", "set", "deep", "a.png", "--out", "set.npz"]));
    done(&run("decode", dir, &["run", "set.npz", "--png", "by-steps"]));
    for name in &names {
        let name = name.to_string_lossy();
        assert_eq!(read(&format!("seen/{name}")), read(&format!("by-steps/{name}")), "{name}");
    }
    done(&run("reconstruct", dir, &["run", "set", "--png", "set-only"]));
    assert_eq!(read("set-only/b.png"), read("seen/set-b.png"));
    refused(&run("reconstruct", dir, &["run", "set", "--png", "seen"]), 2, &["seen: exists already"]);
    refused(&run("reconstruct", dir, &["run", "nowhere.png", "--png", "x"]), 1, &["nowhere.png"]);
    refused(&run("reconstruct", dir, &["run", "run/checkpoints", "--png", "x"]), 1, &["contains no pictures"]);
    refused(&run("reconstruct", dir, &["run", "--png", "x"]), 2, &["PICTURES"]);
    trained(dir, "names", &["model.kind=classifier", "model.width=2"]);
    refused(
        &run("reconstruct", dir, &["names", "test", "--png", "x"]),
        2,
        &["\"classifier\" does not reconstruct images"],
    );
    trained(dir, "told", &["model.conditional=true"]);
    done(&run("reconstruct", dir, &["told", "test", "--png", "told-test"]));
    refused(&run("reconstruct", dir, &["told", "set", "--png", "x"]), 2, &["model.conditional", "reconstruct train"]);
    assert!(!dir.join("x").exists());
}

#[test]
fn pictures_are_encoded_with_their_folders_as_labels() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &[]);
    for (name, grey) in [("set/dark/1.png", 10), ("set/light/1.png", 250), ("set/light/2.png", 240)] {
        fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        image::GrayImage::from_pixel(16, 16, image::Luma([grey])).save(dir.join(name)).unwrap();
    }
    let labels = |words: &[&str]| {
        done(&run("encode", dir, &[&["run"], words, &["--out", "x.npz"]].concat()));
        let npz = fs::read(dir.join("x.npz")).unwrap();
        fs::remove_file(dir.join("x.npz")).unwrap();
        let numbers = array(&npz, "labels.npy").1.chunks_exact(8).take(3);
        numbers.map(|x| i64::from_le_bytes(x.try_into().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(labels(&["set"]), [0, 1, 1]);
    assert_eq!(labels(&["set/dark/1.png", "set/light/2.png", "set/light/1.png"]), [-1; 3]);
    assert_eq!(labels(&["set/light", "set"])[2..], [0], "a label is a sub-folder");
}

#[test]
fn several_sources_are_encoded_together_with_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &[]);
    for (name, grey) in [("set/square/1.png", 10), ("set/blob/2.webp", 250), ("a.bmp", 90)] {
        fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        image::GrayImage::from_pixel(16, 16, image::Luma([grey])).save(dir.join(name)).unwrap();
    }
    fs::write(dir.join("set/blob/notes.txt"), "").unwrap();
    let output = run("encode", dir, &["run", "a.bmp", "test", "set", "validation", "--out", "all.npz"]);
    assert_eq!(done(&output), "43 images, z = 3: all.npz\n");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("set: 1 file was skipped: 1 .txt; pictures are .jpg"), "{told}");
    let npz = fs::read(dir.join("all.npz")).unwrap();
    let names = names(&npz);
    assert_eq!([&names[0], &names[1], &names[20]], ["a.bmp", "test/00000", "test/00019"]);
    assert_eq!([&names[21], &names[22], &names[42]], ["set/blob/2.webp", "set/square/1.png", "validation/00019"]);
    let labels: Vec<i64> = array(&npz, "labels.npy")
        .1
        .chunks_exact(8)
        .take(43)
        .map(|x| i64::from_le_bytes(x.try_into().unwrap()))
        .collect();
    assert_eq!([labels[0], labels[21], labels[22]], [-1, -1, 0], "the run has a label square, but no label blob");
    assert!(labels[1..21].iter().all(|label| (0..3).contains(label)));
    // Each part is what it is alone.
    done(&run("encode", dir, &["run", "test", "--out", "test.npz"]));
    let [whole, test] = [&npz, &fs::read(dir.join("test.npz")).unwrap()].map(|npz| array(npz, "mu.npy").1.to_vec());
    assert_eq!(whole[12..][..20 * 12], test[..20 * 12]);
    done(&run("decode", dir, &["run", "all.npz", "--png", "png"]));
    for name in ["a.png", "test-00007.png", "set-square-1.png", "validation-00019.png"] {
        assert!(dir.join("png").join(name).is_file(), "{name}");
    }
    fs::create_dir(dir.join("test")).unwrap();
    fs::copy(dir.join("a.bmp"), dir.join("test/b.bmp")).unwrap();
    assert_eq!(done(&run("encode", dir, &["run", "./test", "--out", "b.npz"])), "1 image, z = 3: b.npz\n");
    // A damaged one stops, and names the flag that leaves it out.
    fs::write(dir.join("set/blob/2.webp"), b"RIFF").unwrap();
    for command in [&["encode", "--out"], &["reconstruct", "--png"]] {
        let words = ["run", "set", command[1], "x"];
        refused(&run(command[0], dir, &words), 1, &["2.webp: ", "; --skip-damaged leaves out"]);
        let output = run(command[0], dir, &[&words[..], &["--skip-damaged"]].concat());
        assert!(done(&output).starts_with("1 image"));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("1 of the 2 pictures is damaged and was left out: blob/2.webp"), "{told}");
        let _ = fs::remove_file(dir.join("x"));
    }
    let output = run("encode", dir, &["run", "set/blob/2.webp", "--skip-damaged", "--out", "y"]);
    refused(&output, 2, &["all pictures are damaged, so there is nothing to encode"]);
}

#[test]
fn a_vq_model_encodes_to_codes_decodes_them_and_draws_them() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let vq = ["model.kind=vq", "model.encoder=basic", "model.widths=4,4", "model.codes=8", "model.code_width=2"];
    trained(dir, "run", &vq);
    assert_eq!(
        done(&run("encode", dir, &["run", "test", "--out", "test.npz"])),
        "20 images, 4×4 codes of 8: test.npz\n"
    );
    let npz = fs::read(dir.join("test.npz")).unwrap();
    let (header, codes) = array(&npz, "codes.npy");
    assert!(header.starts_with("{'descr': '<i8', 'fortran_order': False, 'shape': (20, 4, 4), }"), "{header}");
    assert!(codes.chunks_exact(8).take(320).all(|x| i64::from_le_bytes(x.try_into().unwrap()) < 8));
    done(&run("decode", dir, &["run", "test.npz", "--png", "decoded", "--out", "pixels.npy"]));
    done(&run("reconstruct", dir, &["run", "test", "--png", "reconstructed"]));
    for i in 0..20 {
        let [one, two] = ["decoded", "reconstructed"]
            .map(|folder| image::open(dir.join(format!("{folder}/{i:05}.png"))).unwrap().into_luma8().into_raw());
        assert!(one.iter().zip(&two).all(|(a, b)| a.abs_diff(*b) <= 1), "{i}");
    }
    let sample = |words: &[&str], place: &str| {
        let output = run("sample", dir, &[&["run", "-n", "3", "--png", place], words].concat());
        done(&output);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.lines().count() == 1 && told.contains("frequency in training; vae fit-prior run learns"),
            "{told}"
        );
        fs::read(dir.join(place).join("00002.png")).unwrap()
    };
    let one = sample(&[], "one");
    assert_eq!(one, sample(&["--seed", "1"], "same"));
    // Other codes are another picture.
    let pixels = |code: u8| {
        let head = format!("{:<117}\n", "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 16), }");
        let bytes = [&b"\x93NUMPY\x01\x00\x76\x00"[..], head.as_bytes(), &[code; 16]].concat();
        fs::write(dir.join("codes.npy"), bytes).unwrap();
        let _ = fs::remove_file(dir.join("one.npy"));
        done(&run("decode", dir, &["run", "codes.npy", "--out", "one.npy"]));
        fs::read(dir.join("one.npy")).unwrap()
    };
    assert_ne!(pixels(0), pixels(7));
    fs::write(dir.join("codes.npy"), [&fs::read(dir.join("codes.npy")).unwrap()[..143], &[8]].concat()).unwrap();
    refused(
        &run("decode", dir, &["run", "codes.npy", "--out", "x"]),
        1,
        &["contains the code 8 in image 0; codes are 0 to 7"],
    );
    refused(&run("sample", dir, &["run", "--png", "x", "--temperature", "0.5"]), 2, &["--temperature", "codes"]);
    trained(dir, "vae", &[]);
    done(&run("encode", dir, &["vae", "test", "--out", "mu.npz"]));
    refused(&run("decode", dir, &["run", "mu.npz", "--png", "x"]), 1, &["contains no codes, but mu"]);
    refused(&run("decode", dir, &["vae", "test.npz", "--png", "x"]), 1, &["contains neither z nor mu, but codes"]);
    assert!(!dir.join("x").exists());
}

#[test]
fn a_conditional_model_is_told_labels() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &["model.conditional=true"]);
    done(&run("encode", dir, &["run", "test", "--out", "test.npz"]));
    done(&run("decode", dir, &["run", "test.npz", "--png", "own"]));
    done(&run("decode", dir, &["run", "test.npz", "--png", "hearts", "--labels", "2"]));
    let differ = (0..20).filter(|i| {
        let [own, heart] = ["own", "hearts"].map(|place| fs::read(dir.join(format!("{place}/{i:05}.png"))).unwrap());
        own != heart
    });
    assert!((1..20).contains(&differ.count()), "those that are hearts stay");
    done(&run("sample", dir, &["run", "-n", "2", "--png", "two", "--label", "1"]));
    refused(
        &run("sample", dir, &["run", "--png", "x", "--label", "3"]),
        2,
        &["--label: 3 is not a label; labels are 0 to 2"],
    );
    refused(&run("decode", dir, &["run", "test.npz", "--png", "x", "--labels", "1,2"]), 2, &["2 labels for 20 images"]);
    refused(&run("decode", dir, &["run", "test.npz", "--png", "x", "--labels=-1"]), 2, &["-1 is not a label"]);
    refused(
        &run("encode", dir, &["run", "two", "--out", "x.npz"]),
        2,
        &["model.conditional", "encode train, validation or test"],
    );
    assert!(!dir.join("x").exists() && !dir.join("x.npz").exists());
}

#[test]
fn files_tell_what_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &[]);
    let told = done(&run("info", dir, &["run"]));
    for words in [
        "a run's checkpoint",
        "checksum  ok",
        "epochs    1",
        "best      epoch 1, validation loss ",
        "weights   after epoch 1\n",
        "z_dim = 3",
        "; --tensors lists them\n",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // The configuration has a line for each key; the rest is short.
    let others = told.lines().filter(|line| !line.starts_with("  ")).count();
    assert!(!told.contains("encoder.mu.weight") && others < 15, "{told}");
    let all = done(&run("info", dir, &["run", "--tensors"]));
    assert!(all.contains("encoder.mu.weight") && all.contains("F32  [3, 8]"), "{all}");
    // The configuration is the one in config.toml, line by line.
    let file = fs::read_to_string(dir.join("run/config.toml")).unwrap();
    let lines = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let shown = told.split("configuration\n").nth(1).unwrap().lines().take_while(|line| line.starts_with("  "));
    assert_eq!(lines(&shown.collect::<Vec<_>>().join("\n")), lines(&file));
    let json = |words: &[&str]| -> Value {
        serde_json::from_str(&done(&run("info", dir, &[words, &["--json"]].concat()))).unwrap()
    };
    let last = json(&["run/checkpoints/last.safetensors"]);
    assert_eq!(
        (&last["kind"], &last["checksum_ok"], &last["standing"]["epochs"], &last["standing"]["steps"]),
        (&"checkpoint".into(), &true.into(), &1.into(), &0.into())
    );
    // A checkpoint does not store its paths and its device, so nothing is said about them.
    let told = done(&run("info", dir, &["run/checkpoints/last.safetensors"]));
    assert!(told.contains("z_dim = 3") && !told.contains("device") && !told.contains("dir ="), "{told}");
    assert!(last["config"]["device"].is_null() && last["config"]["data"]["dir"].is_null(), "{}", last["config"]);
    assert_eq!(last["config"]["model"]["hidden"], 8);
    let mut bytes = fs::read(dir.join("run/checkpoints/best.safetensors")).unwrap();
    let middle = bytes.len() - 9;
    bytes[middle] ^= 1;
    fs::write(dir.join("bent"), &bytes).unwrap();
    let bent = json(&["bent"]);
    assert_eq!((&bent["checksum_ok"], &bent["standing"]["best"]["epoch"]), (&false.into(), &1.into()));
    done(&run("encode", dir, &["run", "test", "--out", "test.npz"]));
    let npz = json(&["test.npz"]);
    assert_eq!(
        (&npz["kind"], &npz["numbers"], &npz["tensors"][2]["dtype"]),
        (&"numpy".into(), &160.into(), &"<i8".into())
    );
    // Somebody else's: half precision, and a line of metadata.
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::BF16, vec![2, 3], &[0; 12]).unwrap();
    let metadata = Some([("by".to_owned(), "somebody\n\u{1b}[2J".to_owned())].into());
    fs::write(dir.join("other"), safetensors::serialize([("h.0", view)], metadata).unwrap()).unwrap();
    let other = done(&run("info", dir, &["other"]));
    assert!(other.contains("metadata  by: somebody\\n\\u{1b}[2J") && other.contains("h.0  BF16  [2, 3]"), "{other}");
    refused(&run("info", dir, &["run/config.toml"]), 1, &["config.toml: is not a file that this program knows"]);
    refused(&run("info", dir, &["absent"]), 1, &["absent: cannot be read"]);
    fs::create_dir(dir.join("empty")).unwrap();
    refused(&run("info", dir, &["empty"]), 1, &["empty: contains neither"]);
}

#[test]
fn what_cannot_be_done_is_told_in_a_line_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    trained(dir, "run", &[]);
    done(&run("encode", dir, &["run", "test", "--out", "test.npz"]));
    refused(&run("encode", dir, &["run", "test", "--out", "test.npz"]), 2, &["test.npz: exists already"]);
    refused(&run("encode", dir, &["run", "--out", "x.npz"]), 2, &["DATA"]);
    refused(&run("encode", dir, &["run", "nowhere.png", "--out", "x.npz"]), 1, &["nowhere.png"]);
    refused(&run("encode", dir, &["nowhere", "test", "--out", "x.npz"]), 1, &["nowhere/config.toml"]);
    refused(&run("encode", dir, &["run", "run/checkpoints", "--out", "x.npz"]), 1, &["contains no pictures"]);
    refused(&run("decode", dir, &["run", "test.npz"]), 2, &["--png", "--out"]);
    refused(
        &run("decode", dir, &["run", "run/samples.png", "--png", "x"]),
        1,
        &["samples.png", "neither an .npy nor an .npz"],
    );
    refused(
        &run("decode", dir, &["run", "test.npz", "--png", "run"]),
        2,
        &["run: exists already; choose another folder"],
    );
    refused(
        &run("decode", dir, &["run", "test.npz", "--png", "x", "--labels", "1"]),
        2,
        &["model.conditional = false"],
    );
    refused(&run("sample", dir, &["run", "--png", "x", "--temperature=-1"]), 2, &["--temperature"]);
    refused(&run("sample", dir, &["run", "--png", "x", "--label", "1"]), 2, &["model.conditional = false"]);
    refused(&run("sample", dir, &["run", "-n", "0", "--png", "x"]), 2, &["--count"]);
    trained(dir, "wide", &["model.z_dim=4"]);
    refused(&run("decode", dir, &["wide", "test.npz", "--png", "x"]), 1, &["[20, 3]", "[images, 4]"]);
    trained(dir, "names", &["model.kind=classifier", "model.width=2"]);
    refused(&run("encode", dir, &["names", "test", "--out", "x.npz"]), 2, &["\"classifier\" has no posterior"]);
    refused(&run("decode", dir, &["names", "test.npz", "--png", "x"]), 2, &["\"classifier\" cannot decode latents"]);
    refused(&run("sample", dir, &["names", "--png", "x"]), 2, &["\"classifier\" cannot draw samples"]);
    assert!(!dir.join("x").exists() && !dir.join("x.npz").exists());
}
