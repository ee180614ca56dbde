//! `vae paper`: a tiny grid to its end, interrupted and resumed; and the commands of `docs/papers.md`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{done, planned, process, refused, vae};

/// Settings of runs that take a moment.
const TINY: &[&str] =
    &["--quick", "--device", "cpu", "--set", "data.limit=64", "--set", "train.epochs=2", "--out", "p"];

fn paper(dir: &Path, args: &[&[&str]]) -> Output {
    vae(dir, &[&["paper"], &args.concat()[..]].concat())
}

/// The verdict and the reason of a claim.
fn verdict(dir: &Path, id: &str) -> (String, String) {
    let told: Value = serde_json::from_slice(&fs::read(dir.join("p/claims.json")).unwrap()).unwrap();
    let claims = told["claims"].as_array().unwrap();
    let found = claims.iter().find(|judged| judged["claim"]["id"] == id).unwrap();
    [&found["verdict"], &found["why"]].map(|value| value.as_str().unwrap().to_owned()).into()
}

#[test]
fn a_paper_is_run_and_told_and_its_runs_are_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let three = ["mnist", "--only", "dense,z_dim=16", "--only", "noisy", "--only", "cnn,z_dim=16"];
    let said = done(&paper(dir.path(), &[&three, TINY]));
    assert!(
        said.contains("run 1 of 3: dense,z_dim=16,seed=1") && said.contains("p/results.md, p/claims.json"),
        "{said}"
    );
    // Decided by rule, from the runs; which way is not the test's business.
    let (noise, why) = verdict(dir.path(), "noise-lowers-no-error");
    assert!(["reproduced", "contradicted"].contains(&noise.as_str()) && why.contains("(seed 1)"), "{noise}: {why}");
    assert!(verdict(dir.path(), "sixteen-is-best-by-loss").1.contains("has not run"));
    assert_eq!(verdict(dir.path(), "noise-becomes-a-digit").0, "not-comparable");
    let page = fs::read_to_string(dir.path().join("p/results.md")).unwrap();
    for words in [
        "# BAM!: Variational AutoEncoder\n",
        "`vae paper mnist --quick --seeds 1 --only dense,z_dim=16 --only noisy --only cnn,z_dim=16 --set data.limit=64 --set train.epochs=2`",
        "--quick uses the 10,000 test digits inside the program",
        "> We found that this didn't help the model getting better results by a noticable improvement.",
        "](<dense,z_dim=16,seed=1/samples.png>)",
    ] {
        assert!(page.contains(words), "{words:?} is not in {page}");
    }
    // Parameters are counted, and the paper's number stands beside them.
    assert!(page.lines().any(|line| line.contains("dense,z_dim=16") && line.contains("415024 (400000)")), "{page}");
    assert!(dir.path().join("p/noisy,seed=1/scores.json").exists());
    for picture in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().trim_matches(['<', '>'])) {
        assert!(dir.path().join("p").join(picture).exists(), "{picture}");
    }

    let files = ["claims.json", "results.md", "dense,z_dim=16,seed=1/metrics.jsonl"];
    let read = || files.map(|file| fs::read(dir.path().join("p").join(file)).unwrap());
    let before = read();
    let said = done(&paper(dir.path(), &[&three, TINY]));
    assert_eq!(said.matches("already done").count(), 3, "{said}");
    assert_eq!(read(), before);
    let listed = done(&paper(dir.path(), &[&three, TINY, &["--dry-run"]]));
    assert_eq!(listed.matches("already done").count(), 3, "{listed}");
    let other = [&three[..], TINY, &["--set", "train.epochs=3"]];
    refused(&paper(dir.path(), &other), 2, &["p/dense,z_dim=16,seed=1", "another configuration", "--out"]);
}

#[test]
fn what_is_missing_is_left_out_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let output = paper(dir.path(), &[&["pegasus"], TINY]);
    done(&output);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("pegasus,seed=1 is skipped: the images of cifar10 are missing"), "{errors}");
    let (told, why) = verdict(dir.path(), "negation-flips-brightness");
    assert!(told == "not-comparable" && why.contains("the images of cifar10 are missing"), "{told}: {why}");
    let page = fs::read_to_string(dir.path().join("p/results.md")).unwrap();
    assert!(page.contains("## Skipped runs\n\n- `pegasus,seed=1`: the images of cifar10"), "{page}");
}

/// A run that diverges decides nothing, and the others go on.
#[test]
fn what_diverges_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let wild = ["mnist", "--only", "dense,z_dim=16", "--only", "noisy", "--set", "train.learning_rate=1e30"];
    done(&paper(dir.path(), &[&wild, TINY]));
    let (told, why) = verdict(dir.path(), "noise-lowers-no-error");
    assert!(told == "not-comparable" && why.contains("dense,z_dim=16 diverged with seed 1"), "{told}: {why}");
}

/// Stopped by Ctrl-C in its first run, it goes on there.
#[cfg(unix)]
#[test]
fn an_interrupted_paper_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let long =
        ["mnist", "--only", "size,limit=1000", "--only", "dense-512", "--quick", "--device", "cpu", "--out", "p"];
    let long = [&long[..], &["--set", "train.epochs=12", "--set", "data.limit=1000"]].concat();
    let mut child = process("vae", dir.path())
        .arg("paper")
        .args(&long)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let first = dir.path().join("p/dense-512,seed=1/metrics.jsonl");
    let start = Instant::now();
    while !first.exists() {
        assert!(start.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "no first run");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("runs are done; run the same command again to continue"), "{errors}");
    assert!(!dir.path().join("p/claims.json").exists());
    let said = done(&process("vae", dir.path()).arg("paper").args(&long).output().unwrap());
    assert!(said.contains("  resumed    after step "), "{said}");
    let lines =
        |run: &str| fs::read_to_string(dir.path().join("p").join(run).join("metrics.jsonl")).unwrap().lines().count();
    assert_eq!([lines("dense-512,seed=1"), lines("size,limit=1000,seed=1")], [12, 12]);
}

#[test]
fn what_cannot_be_is_refused_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&["vae"][..], &["vae: there is no such paper", "transfer, tc, mnist, residual, pegasus"][..]),
        (&[], &["--help"]),
        (&["mnist", "--seeds", "1,2,1"], &["--seeds: 1 is given twice"]),
        (&["mnist", "--seeds", "one"], &["--seeds"]),
        (&["mnist", "--only", "denser"], &["--only denser", "dense,z_dim=16"]),
        (&["mnist", "--set", "seed=2"], &["--set seed", "--seeds"]),
        (&["mnist", "--set", "model.z_dims=2"], &["did you mean model.z_dim?"]),
        (&["mnist", "--set", "train.epochs=0"], &["dense,z_dim=1", "train.epochs = 0"]),
        (&["mnist", "--out", ""], &["--out"]),
    ] {
        refused(&paper(dir.path(), &[args, &["--dry-run"]]), 2, words);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_examples_of_the_help_run() {
    let dir = tempfile::tempdir().unwrap();
    let help = done(&paper(dir.path(), &[&["--help"]]));
    let lines = help.lines().filter_map(|line| line.strip_prefix("  vae paper "));
    let commands: Vec<Vec<&str>> =
        lines.map(|line| line.split("   ").next().unwrap().split_whitespace().collect()).collect();
    assert!(commands.len() >= 6, "{help}");
    for command in commands {
        let dry: &[&str] =
            if command.contains(&"--list") || command.contains(&"--dry-run") { &[] } else { &["--dry-run"] };
        done(&paper(dir.path(), &[&command, dry]));
    }
    let listed = done(&paper(dir.path(), &[&["--list"]]));
    assert!(["transfer", "tc", "mnist", "residual", "pegasus"].iter().all(|name| listed.contains(name)), "{listed}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Every command in the table of figures is one, up to running it.
#[test]
fn the_commands_of_the_papers_figures_are_commands() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/papers.md");
    let page = fs::read_to_string(page).unwrap();
    let spans = page.split('`').skip(1).step_by(2);
    let known = ["train", "draw", "evaluate", "paper"];
    // `train …` and `vae draw …`; the other commands once stood without `vae`.
    let commands = spans.map(|span| span.split_whitespace().skip_while(|word| *word == "vae").collect());
    let commands: Vec<Vec<&str>> =
        commands.filter(|words: &Vec<&str>| words.len() > 1 && known.contains(&words[0])).collect();
    assert!(commands.len() >= 30, "{}", commands.len());
    let dir = tempfile::tempdir().unwrap();
    for words in commands {
        let check = if ["train", "paper"].contains(&words[0]) { "--dry-run" } else { "--help" };
        println!("{words:?}"); // shown if it fails
        planned(&vae(dir.path(), &[&words[..], &[check]].concat()));
    }
}
