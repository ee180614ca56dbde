//! The kinds that are no plain VAE, through the `train` command: what a run of each prints and leaves behind.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::{done, refused, train};

/// A run of seconds in `out`.
fn run(dir: &Path, out: &str, settings: &[&str], more: &[&str]) -> Output {
    let small = ["model.width=2", "model.z_dim=3", "train.epochs=2"];
    let settings = small.iter().chain(settings).flat_map(|setting| ["--set", *setting]);
    let always = ["--limit", "64", "--device", "cpu", "--out", out];
    train(dir).args(settings).args(always).args(more).output().unwrap()
}

/// The keys of the last line's `part`, in order.
fn keys(run: &Path, part: &str) -> Vec<String> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    line[part].as_object().unwrap().keys().cloned().collect()
}

/// A classifier, and a VAE that begins with its encoder, held as it is.
#[test]
fn a_classifier_tells_its_confusions_and_lends_its_encoder() {
    let dir = tempfile::tempdir().unwrap();
    let told = done(&run(dir.path(), "classifier", &["model.kind=classifier", "loss.reconstruction=sse"], &[]));
    assert!(told.contains("loss       cross-entropy, mean over images\n"), "{told}");
    assert!(told.contains("= cross entropy ") && told.contains(", accuracy "), "{told}");
    assert!(told.contains("on the test images: accuracy ") && told.contains(" % of 833 images"), "{told}");
    let folder = dir.path().join("classifier");
    let table = fs::read_to_string(folder.join("confusion.csv")).unwrap();
    let counts = table.lines().skip(1).flat_map(|line| line.split(',').skip(1)).map(|n| n.parse::<usize>().unwrap());
    assert_eq!((table.lines().count(), counts.sum::<usize>()), (11, 833));
    assert_eq!(keys(&folder, "train"), ["total", "cross_entropy", "accuracy"]);
    assert_eq!(keys(&folder, "validation"), ["total", "cross_entropy", "accuracy"]);
    assert!(!folder.join("samples.png").exists() && !folder.join("reconstructions.png").exists());

    let best = "classifier/checkpoints/best.safetensors";
    let frozen = ["model.freeze_encoder=true"];
    let told = done(&run(dir.path(), "vae", &frozen, &["--init-encoder", best]));
    assert!(told.contains("loaded 100 tensors (bn1, conv1, layer1, layer2, layer3, layer4); skipped: 2 tensors (fc)"));
    let hashes: Vec<&str> = told.split("100 tensors, sha256 ").skip(1).map(|rest| &rest[..64]).collect();
    assert!(
        hashes.len() == 2 && hashes[0] == hashes[1] && told.contains(", unchanged since before the first step\n"),
        "{told}"
    );
    let list = fs::read_to_string(dir.path().join("vae/encoder.txt")).unwrap();
    assert!(list.contains("\nloaded: 100\n  encoder.conv1.weight\n") && list.contains("\n  fc.weight\n"), "{list}");
    let plan = done(&run(dir.path(), "planned", &frozen, &["--init-encoder", best, "--dry-run", "--json"]));
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["frozen"]["sha256"], hashes[0], "a dry run tells the same");
    assert_eq!(plan["encoder_tensors"]["loaded"].as_array().unwrap().len(), 100);
    assert_eq!(plan["encoder_tensors"]["skipped"], serde_json::json!(["fc.bias", "fc.weight"]));
    let trained = fs::read(dir.path().join("vae/checkpoints/last.safetensors")).unwrap();
    let began = fs::read(dir.path().join(best)).unwrap();
    let [trained, began] = [&trained, &began].map(|bytes| safetensors::SafeTensors::deserialize(bytes).unwrap());
    for name in began.names().into_iter().filter(|name| !name.starts_with("fc.")) {
        let held = trained.tensor(&format!("encoder.{name}")).unwrap();
        assert_eq!(held.data(), began.tensor(name).unwrap().data(), "{name}");
    }
    refused(
        &run(dir.path(), "none", &[], &["--init-encoder", "no.safetensors"]),
        1,
        &["no.safetensors: cannot be read"],
    );
    refused(&run(dir.path(), "wide", &["model.width=4"], &["--init-encoder", best]), 1, &["model.width"]);
    assert!(!dir.path().join("none").exists() && !dir.path().join("wide").exists(), "nothing was begun");
}

#[test]
fn a_codebook_is_told_of_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["model.kind=vq", "model.codes=16", "model.widths=4,6"];
    let told = done(&run(dir.path(), "vq", &settings, &[]));
    assert!(told.contains("vq by basic: widths [4, 6], down by stride, 16 codes of 64"), "{told}");
    assert!(told.contains("bce + 0.25 × commitment") && !told.contains("effective β"), "{told}");
    let folder = dir.path().join("vq");
    assert_eq!(keys(&folder, "train"), ["total", "reconstruction", "commitment", "perplexity", "codes_used"]);
    let all = ["total", "reconstruction", "commitment", "perplexity", "codes_used", "mse"];
    assert_eq!(keys(&folder, "validation"), all);
    assert!(folder.join("reconstructions.png").exists() && !folder.join("samples.png").exists());
    let bytes = fs::read(folder.join("checkpoints/last.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| file.tensor(name).unwrap().shape().to_vec();
    let held = ["codes", "counts", "sums"].map(|name| shape(&format!("codebook.{name}")));
    assert_eq!(held, [vec![16, 64], vec![16, 1], vec![16, 64]]);
    // What was kept begins another run.
    let again = [&settings[..], &["model.init=vq/checkpoints/last.safetensors", "train.epochs=1"]].concat();
    done(&run(dir.path(), "again", &again, &[]));
}

#[test]
fn a_model_with_rounded_codes_is_told_of_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["model.kind=fsq", "model.levels=4,3,2", "model.widths=4,6"];
    let told = done(&run(dir.path(), "fsq", &settings, &[]));
    assert!(told.contains("fsq by basic: widths [4, 6], down by stride, 4×3×2 = 24 codes"), "{told}");
    assert!(told.contains("bce, sum over pixels and codes") && !told.contains("effective β"), "{told}");
    let folder = dir.path().join("fsq");
    assert_eq!(keys(&folder, "train"), ["total", "reconstruction", "perplexity", "codes_used"]);
    let bytes = fs::read(folder.join("checkpoints/last.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("codebook.counts").unwrap().shape(), [24, 1]);
    for (levels, says) in [("", "1 to 16"), ("8,1", "each 2 or more"), ("4096,4096", "their product must be at most")] {
        let refuse = run(dir.path(), "none", &["model.kind=fsq", &format!("model.levels={levels}")], &[]);
        refused(&refuse, 2, &["model.levels", says]);
    }
    refused(&run(dir.path(), "none", &["model.kind=fsq", "model.encoder=dense"], &[]), 2, &["fsq needs resnet18"]);
}

#[test]
fn a_conditional_model_draws_each_label() {
    let dir = tempfile::tempdir().unwrap();
    let told = done(&run(dir.path(), "told", &["model.conditional=true"], &[]));
    assert!(told.contains("z 3, conditional"), "{told}");
    let height = |run: &str| image::open(dir.path().join(run).join("samples.png")).unwrap().height();
    done(&run(dir.path(), "plain", &[], &[]));
    assert!(height("told") > height("plain"), "ten rows, one a label, and eight");
}

/// The losses of both players are told, what has none of its own is refused, and a discriminator stays in the checkpoint.
#[test]
fn a_second_player_is_told_of_and_left_out_of_exports() {
    let dir = tempfile::tempdir().unwrap();
    let gan = ["model.kind=dense", "model.hidden=8", "loss.kind=vae-gan", "loss.discriminator_channels=3,4"];
    let told = done(&run(dir.path(), "gan", &gan, &[]));
    assert!(
        told.contains(", discriminator ") && told.contains("a VAE-GAN with features of layer 1 of [3, 4]"),
        "{told}"
    );
    let parts = ["total", "features", "kl", "generator", "discriminator", "reconstruction"];
    assert_eq!(keys(&dir.path().join("gan"), "train"), parts);
    let last = fs::read(dir.path().join("gan/checkpoints/last.safetensors")).unwrap();
    let last = safetensors::SafeTensors::deserialize(&last).unwrap();
    for name in
        ["discriminator.convs.1.weight", "discriminator.convs.1.weight_u", "train.adam.m.discriminator.output.bias"]
    {
        assert!(last.tensor(name).is_ok(), "{name} is not in the checkpoint");
    }
    // Weights that do not move have the same loss in each epoch. The last one is the best all the same.
    let still = ["loss.spectral_norm=false", "train.learning_rate=1e-30", "loss.discriminator_rate=1e-30"];
    done(&run(dir.path(), "still", &[&gan[..], &still].concat(), &[]));
    let info = done(&crate::vae(dir.path(), &["info", "still/checkpoints/best.safetensors", "--json"]));
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["standing"]["best"]["epoch"], 2, "{info}");
    done(&crate::vae(dir.path(), &["export", "gan", "--out", "gan.safetensors"]));
    let exported = fs::read(dir.path().join("gan.safetensors")).unwrap();
    let exported = safetensors::SafeTensors::deserialize(&exported).unwrap();
    assert!(exported.names().iter().all(|name| !name.contains("discriminator")), "{:?}", exported.names());

    let intro = ["model.kind=dense", "model.hidden=8", "loss.kind=soft-intro", "loss.beta_neg=9"];
    let told = done(&run(dir.path(), "intro", &intro, &[]));
    assert!(told.contains("1 × KL, a Soft-IntroVAE with β_neg = 9") && told.contains("KL of fakes"), "{told}");
    let parts = ["total", "reconstruction", "kl", "exp_elbo", "kl_fake"];
    assert_eq!(keys(&dir.path().join("intro"), "train"), parts);
    let stopping = [&gan[..], &["train.early_stopping=2"]].concat();
    refused(&run(dir.path(), "none", &stopping, &[]), 2, &["train.early_stopping = 2", "moves with its discriminator"]);
}
