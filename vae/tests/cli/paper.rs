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
    // Two epochs of 64 images are far from the end, so they decide nothing.
    let (noise, why) = verdict(dir.path(), "noise-lowers-no-error");
    assert!(
        noise == "undecided" && why.contains("it has not converged: the validation loss still falls"),
        "{noise}: {why}"
    );
    let (best, why) = verdict(dir.path(), "sixteen-is-best-by-loss");
    assert!(best == "undecided" && why.contains("has not run"), "{best}: {why}");
    assert_eq!(verdict(dir.path(), "noise-becomes-a-digit").0, "not-comparable");
    let page = fs::read_to_string(dir.path().join("p/results.md")).unwrap();
    for words in [
        "# BAM!: Variational AutoEncoder\n",
        "`vae paper mnist --quick --seeds 1 --only dense,z_dim=16 --only noisy --only cnn,z_dim=16 --set data.limit=64 --set train.epochs=2`",
        "--quick uses the 10,000 test digits inside the program",
        "> We found that this didn't help the model getting better results by a noticable improvement.",
        "](<dense,z_dim=16,seed=1/samples.png>)",
        "Undecided: dense,z_dim=16 with seed 1: it has not converged",
        "What would settle it: `vae paper mnist --seeds 1,2 --only dense,z_dim=16 --only noisy`, about ",
        "64 of 50,000 images, 2 of 30 epochs, 1 seed",
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
    assert!(told == "undecided" && why.contains("the images of cifar10 are missing"), "{told}: {why}");
    let page = fs::read_to_string(dir.path().join("p/results.md")).unwrap();
    assert!(page.contains("## Skipped runs\n\n- `pegasus,seed=1`: the images of cifar10"), "{page}");
}

#[test]
fn a_reason_that_many_runs_share_is_printed_once() {
    let dir = tempfile::tempdir().unwrap();
    let again = "skipped for the same reason as pegasus,seed=1";
    let listed = done(&paper(dir.path(), &[&["pegasus", "--seeds", "1,2,3", "--dry-run"], TINY]));
    let counts = |text: &str| [text.matches("the images of cifar10 are missing").count(), text.matches(again).count()];
    assert_eq!(counts(&listed), [1, 2], "{listed}");
    let output = paper(dir.path(), &[&["pegasus", "--seeds", "1,2,3"], TINY]);
    done(&output);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(counts(&errors), [1, 2], "{errors}");
}

/// A run that diverges decides nothing, and the others go on.
#[test]
fn what_diverges_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let wild = ["mnist", "--only", "dense,z_dim=16", "--only", "noisy", "--set", "train.learning_rate=1e30"];
    done(&paper(dir.path(), &[&wild, TINY]));
    let (told, why) = verdict(dir.path(), "noise-lowers-no-error");
    assert!(told == "undecided" && why.contains("dense,z_dim=16 diverged with seed 1"), "{told}: {why}");
}

/// The files of runs that are trained at the same time are those of runs one after the other, and so is the order of the results, though
/// the first run ends last.
#[test]
fn runs_at_the_same_time_have_the_same_results() {
    let dir = tempfile::tempdir().unwrap();
    let runs = ["mnist", "--only", "cnn,z_dim=16", "--only", "dense-512", "--only", "noisy", "--threads", "2"];
    let said = done(&paper(dir.path(), &[&runs, &["--jobs", "2"], TINY]));
    assert!(said.contains("2 runs are trained at the same time, with 1 thread each"), "{said}");
    let lines = |start: &str| said.lines().filter(|line| line.starts_with(start)).count();
    for name in ["cnn,z_dim=16,seed=1", "dense-512,seed=1", "noisy,seed=1"] {
        assert_eq!([": epoch ", ": ended"].map(|event| lines(&format!("{name}{event}"))), [2, 1], "{said}");
    }
    fs::rename(dir.path().join("p"), dir.path().join("together")).unwrap();
    let said = done(&paper(dir.path(), &[&runs, &["--jobs", "1"], TINY]));
    assert!(said.contains("  device     cpu, 2 threads"), "{said}");
    let read = |out: &str, file: &str| fs::read(dir.path().join(out).join(file)).unwrap();
    for file in ["noisy,seed=1/checkpoints/last.safetensors", "dense-512,seed=1/scores.json", "claims.json"] {
        assert!(read("p", file) == read("together", file), "{file}");
    }
    let names = |out: &str| {
        let name = |line: &str| serde_json::from_str::<Value>(line).unwrap()["point"].to_string();
        String::from_utf8(read(out, "results.jsonl")).unwrap().lines().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names("p"), names("together"));
}

/// The error of one run stops the others, which keep what they have trained.
#[test]
fn an_error_stops_the_runs_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("p")).unwrap();
    fs::write(dir.path().join("p/noisy,seed=1"), "a file where the folder of a run belongs").unwrap();
    let long = ["mnist", "--only", "dense-512", "--only", "noisy", "--quick", "--device", "cpu", "--out", "p"];
    let long = [&long[..], &["--set", "train.epochs=100000", "--threads", "2", "--jobs", "2"]].concat();
    refused(&vae(dir.path(), &[&["paper"], &long[..]].concat()), 1, &["noisy,seed=1"]);
    refused(&vae(dir.path(), &["paper", "mnist", "--jobs", "0"]), 2, &["--jobs"]);
}

/// Stopped by Ctrl-C in its first run, it goes on there.
#[cfg(unix)]
#[test]
fn an_interrupted_paper_goes_on() {
    interrupted_with_jobs("1");
    interrupted_with_jobs("2");
}

#[cfg(unix)]
fn interrupted_with_jobs(jobs: &str) {
    let dir = tempfile::tempdir().unwrap();
    let long =
        ["mnist", "--only", "size,limit=1000", "--only", "dense-512", "--quick", "--device", "cpu", "--out", "p"];
    let long = [&long[..], &["--set", "train.epochs=12", "--set", "data.limit=1000", "--jobs", jobs]].concat();
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
    assert!(jobs != "1" || said.contains("  resumed    after step "), "{said}");
    let lines =
        |run: &str| fs::read_to_string(dir.path().join("p").join(run).join("metrics.jsonl")).unwrap().lines().count();
    assert_eq!([lines("dense-512,seed=1"), lines("size,limit=1000,seed=1")], [12, 12]);
}

/// A plan is told before it starts, kept, and gone on with; a page can be written again.
#[test]
fn a_budget_is_planned_and_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let tiny = ["--set", "data.limit=64", "--device", "cpu", "--out", "p"];
    let said = done(&paper(dir.path(), &[&["tc", "--budget", "6h", "--dry-run"], &tiny]));
    assert!(said.contains("runs with 3 seeds") && said.contains("claims that these runs can decide"), "{said}");
    assert!(
        said.contains("bvae-pays-more") && said.contains("instead of Stanford Dogs, these runs use the `shapes`"),
        "{said}"
    );
    let some = ["tc", "--stand-in", "--epochs", "0.04", "--width", "0.125", "--only", "bvae,alpha+beta+gamma=1"];
    done(&paper(dir.path(), &[&some, &tiny]));
    let config = fs::read_to_string(dir.path().join("p/bvae,alpha+beta+gamma=1,seed=1/config.toml")).unwrap();
    assert!(config.contains("widths = [8, 16, 32]") && config.contains("epochs = 4"), "{config}");
    let files = ["claims.json", "results.md", "plan.json"];
    let read = || files.map(|file| fs::read_to_string(dir.path().join("p").join(file)).unwrap());
    let before = read();
    let words = "64 of 12,000 images, 4 of 50 epochs, 8 of 64 channels, 1 seed";
    assert!(before[1].contains(words), "{}", before[1]);
    fs::remove_file(dir.path().join("p/results.md")).unwrap();
    let said = done(&paper(dir.path(), &[&["tc", "--resume", "--device", "cpu", "--out", "p"]]));
    assert!(said.contains("run 1 of 1: bvae,alpha+beta+gamma=1,seed=1, already done"), "{said}");
    assert_eq!(read(), before);
    fs::remove_file(dir.path().join("p/results.md")).unwrap();
    fs::remove_dir_all(dir.path().join("p/bvae,alpha+beta+gamma=1,seed=1/checkpoints")).unwrap(); // kept results have none
    done(&paper(dir.path(), &[&["tc", "--judge", "--out", "p"]]));
    assert_eq!(read(), before);
    let other = ["tc", "--budget", "100h", "--set", "data.limit=64", "--out", "p"];
    refused(&paper(dir.path(), &[&other]), 2, &["p: its plan.json is of other runs", "--resume"]);
    refused(
        &paper(dir.path(), &[&["mnist", "--resume", "--out", "p"]]),
        1,
        &["p/plan.json: is a plan of the paper tc"],
    );
}

/// The pages of `docs/results` are those that the program writes from the files beside them.
#[test]
fn the_kept_results_are_what_the_runs_decide() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/results");
    let overview = fs::read_to_string(kept.join("README.md")).unwrap();
    let mut judged = 0;
    for name in ["transfer", "transfer-25", "tc", "mnist", "residual", "residual-eighth", "pegasus"] {
        let dir = tempfile::tempdir().unwrap();
        copy(&kept.join(name), &dir.path().join("p"));
        let of = name.split('-').next().unwrap();
        let said = done(&paper(dir.path(), &[&[of, "--judge", "--out", "p"]]));
        for file in ["results.md", "claims.json"] {
            let [ours, there] =
                [dir.path().join("p"), kept.join(name)].map(|dir| fs::read_to_string(dir.join(file)).unwrap());
            assert_eq!(
                ours, there,
                "{name}/{file}: write it again with vae paper {of} --judge --out docs/results/{name}"
            );
        }
        let claims: Value = serde_json::from_slice(&fs::read(dir.path().join("p/claims.json")).unwrap()).unwrap();
        let count =
            |word: &str| claims["claims"].as_array().unwrap().iter().filter(|claim| claim["verdict"] == word).count();
        let counts = ["reproduced", "contradicted", "corrected", "undecided", "not-comparable"].map(count);
        let row = format!("| [{name}]({name}/results.md) | {} |", counts.map(|count| count.to_string()).join(" | "));
        assert!(overview.contains(&row), "docs/results/README.md lacks the row {row}");
        judged += said.lines().filter(|line| line.contains(": ")).count();
    }
    assert!(judged > 40, "{judged}");
}

/// The pages of the comparisons, too; and a page of the documentation has the table of each.
#[test]
fn the_kept_comparisons_are_those_of_their_runs() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (name, page) in [("models", "models.md"), ("disentanglement", "theory/aggregate-posterior.md")] {
        let (dir, kept) = (tempfile::tempdir().unwrap(), docs.join("results").join(name));
        copy(&kept, &dir.path().join("p"));
        done(&paper(dir.path(), &[&[name, "--judge", "--out", "p"]]));
        let [ours, there] = [dir.path().join("p"), kept].map(|dir| fs::read_to_string(dir.join("results.md")).unwrap());
        assert_eq!(ours, there, "write it again with vae paper {name} --judge --out docs/results/{name}");
        let page_text = fs::read_to_string(docs.join(page)).unwrap();
        let table: Vec<&str> = ours.lines().filter(|line| line.starts_with('|')).collect();
        assert!(table.len() > 8 && table.iter().all(|row| page_text.contains(row)), "docs/{page} lacks the table");
    }
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let path = entry.unwrap().path();
        let there = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &there) } else { fs::copy(&path, &there).map(drop).unwrap() }
    }
}

#[test]
fn what_cannot_be_is_refused_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    for (args, words) in [
        (
            &["vae"][..],
            &[
                "vae: there is no such paper",
                "transfer, tc, mnist, residual, pegasus, and the comparisons models, disentanglement, recipes",
            ][..],
        ),
        (&[], &["--help"]),
        (&["mnist", "--seeds", "1,2,1"], &["--seeds: 1 is given twice"]),
        (&["mnist", "--seeds", "one"], &["--seeds"]),
        (&["mnist", "--only", "denser"], &["--only denser", "dense,z_dim=16"]),
        (&["mnist", "--set", "seed=2"], &["--set seed", "--seeds"]),
        (&["mnist", "--set", "model.z_dims=2"], &["did you mean model.z_dim?"]),
        (&["mnist", "--set", "train.epochs=0"], &["dense,z_dim=1", "train.epochs = 0"]),
        (&["mnist", "--out", ""], &["--out"]),
        (&["mnist", "--budget", "soon"], &["--budget", "90min, 6h or 2d"]),
        (&["pegasus", "--budget", "1min"], &["--budget: nothing of the paper pegasus fits"]),
        (&["mnist", "--epochs", "2"], &["--epochs", "above 0 and up to 1"]),
        (&["mnist", "--resume"], &["runs/paper-mnist: has no plan.json", "--out"]),
        (&["mnist", "--resume", "--seeds", "2"], &["--resume", "--seeds"]),
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
