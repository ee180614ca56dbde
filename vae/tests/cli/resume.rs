//! `train --resume`: what may be asked for, and a process that is killed at any moment.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tensor::Generator;

use crate::{done, process, refused, train};

/// A run of a second and a half with a checkpoint every 20 milliseconds: two epochs of 260 steps.
const SMALL: &[&str] = &[
    "model.kind=dense",
    "model.hidden=12",
    "model.z_dim=2",
    "data.image_size=16",
    "train.batch_size=32",
    "train.epochs=2",
    "train.ema=0.9",
    "train.log_steps=50",
    "train.checkpoint_minutes=0.0003",
];

fn settings<'a>(all: &[&[&'a str]]) -> Vec<&'a str> {
    ["--device", "cpu", "--no-report"]
        .into_iter()
        .chain(all.concat().into_iter().flat_map(|setting| ["--set", setting]))
        .collect()
}

fn output(dir: &Path, args: &[&str]) -> Output {
    train(dir).args(args).output().unwrap()
}

/// The command as a process of its own, silent.
fn start(dir: &Path, args: &[&str], stderr: Stdio) -> Child {
    process("train", dir).args(args).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

#[track_caller]
fn wait_for(child: &mut Child, path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        let running = child.try_wait().unwrap().is_none();
        assert!(running && start.elapsed() < Duration::from_secs(60), "no {}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Every file of a run that has ended, but for its times and what tells of them.
fn files(run: &Path) -> Vec<(String, Vec<u8>)> {
    let names = [
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
        "config.toml",
        "curves.png",
        "curves.svg",
        "image_hashes.safetensors",
        "reconstructions.png",
        "samples.png",
        "steps.jsonl",
    ];
    let map = fs::read_dir(run.join("map")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut map: Vec<String> = map.map(|name| format!("map/{name}")).collect();
    map.sort();
    let names = names.into_iter().map(str::to_owned).chain(map);
    let mut files: Vec<_> = names.map(|name| (name.clone(), fs::read(run.join(name)).unwrap())).collect();
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let losses = metrics.lines().map(|line| line.split(",\"seconds\"").next().unwrap().to_owned() + "\n");
    files.push(("metrics.jsonl".into(), losses.collect::<String>().into_bytes()));
    files
}

#[track_caller]
fn same(run: &Path, whole: &[(String, Vec<u8>)]) {
    for ((name, bytes), (known, expected)) in files(run).iter().zip(whole) {
        assert!(name == known && bytes == expected, "{}/{name} is another", run.display());
    }
    let left = ["", "checkpoints", "map"].iter().flat_map(|folder| fs::read_dir(run.join(folder)).unwrap());
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        !["timing.json", "scores.json", "report.html", "cache"].iter().any(|known| name == *known)
    });
    assert_eq!(left.count(), whole.len() + 2, "files and the folders of some of them, and nothing else");
}

/// SIGKILL at random moments, a run after another, until there were 200: each run is in the end what it would have been.
#[cfg(unix)]
#[test]
fn killed_200_times_at_any_moment_a_run_ends_as_if_it_had_not_been() {
    fn begin(out: &str) -> Vec<&str> {
        [settings(&[SMALL]), vec!["--out", out]].concat()
    }
    let dir = tempfile::tempdir().unwrap();
    let started = Instant::now();
    done(&output(dir.path(), &begin("whole")));
    let longest = (started.elapsed().as_millis() as usize / 3).clamp(20, 250);
    let whole = files(&dir.path().join("whole"));
    let mut rng = Generator::new(7);
    let (mut kills, mut runs, mut from_a_checkpoint) = (0, 0, 0);
    while kills < 200 {
        runs += 1;
        let (out, run) = (format!("run{runs}"), dir.path().join(format!("run{runs}")));
        loop {
            let resumes = run.join("checkpoints/last.safetensors").exists();
            if !resumes && run.exists() {
                fs::remove_dir_all(&run).unwrap(); // killed before the first checkpoint
            }
            from_a_checkpoint += usize::from(resumes);
            let args = if resumes { vec!["--resume", &out, "--threads", "2", "--no-report"] } else { begin(&out) };
            let mut child = start(dir.path(), &args, Stdio::piped());
            if kills < 200 {
                std::thread::sleep(Duration::from_millis(rng.below(longest) as u64));
                let _ = child.kill();
                kills += 1;
            }
            let output = child.wait_with_output().unwrap();
            match output.status.code() {
                None => {}
                Some(0) => break,
                Some(code) => panic!("{code}: {}", String::from_utf8_lossy(&output.stderr)),
            }
        }
        same(&run, &whole);
        fs::remove_dir_all(&run).unwrap();
    }
    println!("{kills} kills, {runs} runs, {from_a_checkpoint} starts from a checkpoint");
    assert!(from_a_checkpoint > 50, "only {from_a_checkpoint} of {kills} starts went on from a checkpoint");
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on_and_does() {
    let dir = tempfile::tempdir().unwrap();
    let whole = [settings(&[SMALL]), vec!["--out", "whole"]].concat();
    done(&output(dir.path(), &whole));
    let whole = files(&dir.path().join("whole"));
    for name in ["-INT", "-TERM"] {
        let out = format!("my run{name}");
        let mut child = start(dir.path(), &[settings(&[SMALL]), vec!["--out", &out]].concat(), Stdio::piped());
        let run = dir.path().join(&out);
        wait_for(&mut child, &run.join("steps.jsonl"));
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{errors}");
        let command = errors.trim_end().lines().last().unwrap().split_once("To continue: ").unwrap().1;
        assert!(command.contains(&format!("--resume '{out}'")), "{command}");
        let again = Command::new("sh").args(["-c", command]).current_dir(dir.path()).output().unwrap();
        assert!(done(&again).contains("  resumed    after step "));
        same(&run, &whole);
    }
}

/// A second signal leaves at once, whatever is being done, and the checkpoint is whole.
#[cfg(unix)]
#[test]
fn a_second_signal_leaves_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // Validation alone takes a while: nothing ends the process before it but the second signal.
    let long = ["train.epochs=1000", "model.hidden=3000", "model.layers=3", "train.checkpoint_minutes=0.0001"];
    let mut child = start(dir.path(), &[settings(&[SMALL, &long]), vec!["--out", "run"]].concat(), Stdio::piped());
    wait_for(&mut child, &dir.path().join("run/checkpoints/last.safetensors"));
    signal(&child, "-INT");
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let told = done(&output(dir.path(), &["--resume", "run", "--dry-run"]));
    assert!(told.contains("Nothing was trained"), "{told}");
}

#[test]
fn what_cannot_go_on_is_refused_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let quick = &["train.epochs=1", "data.limit=64", "train.log_steps=1"];
    done(&output(dir.path(), &[settings(&[SMALL, quick]), vec!["--out", "run"]].concat()));
    done(&output(
        dir.path(),
        &[settings(&[SMALL, quick, &["train.schedule=linear"]]), vec!["--out", "linear"]].concat(),
    ));
    fs::create_dir(dir.path().join("empty")).unwrap();
    let set = |setting| ["--resume", "run", "--set", setting];
    for (args, words) in [
        (&["--resume", "nowhere"][..], &["--resume nowhere", "not the folder of a run"][..]),
        (&["--resume", "empty"], &["empty", "no checkpoint"]),
        (&["--resume", "run", "--recipe", "quickstart"], &["leave out --recipe"]),
        (&["--resume", "run", "--out", "other"], &["leave out --out"]),
        (&["--resume", "run", "--init", "x"], &["leave out --init"]),
        (&["--resume", "run", "--sweep", "seed=1,2"], &["leave out --sweep"]),
        (&set("model.z_dim=3"), &["model.z_dim = 3", "in which it is 2"]),
        (&set("train.log_steps=3"), &["train.log_steps = 3", "in which it is 1"]),
        (&["--resume", "run", "--seed", "2"], &["seed = 2", "in which it is 1"]),
        (&["--resume", "run", "--limit", "32"], &["data.limit = 32"]),
        (&set("train.epochs=0"), &["train.epochs = 0"]),
        (&["--resume", "linear", "--set", "train.epochs=3"], &["train.epochs = 3", "train.schedule", "--out"]),
    ] {
        refused(&output(dir.path(), args), 2, words);
    }
    let changed = train(dir.path()).args(["--resume", "run"]).env("VAE_LOSS_BETA", "3").output().unwrap();
    refused(&changed, 2, &["loss.beta = 3"]);

    // Finished; and longer.
    let before = files(&dir.path().join("run"));
    let said = done(&output(dir.path(), &["--resume", "run/", "--threads", "1"]));
    assert!(said.contains("run/: this run is finished") && said.contains("\n\nrun/\n  checkpoints/"), "{said}");
    same(&dir.path().join("run"), &before);
    let longer = output(dir.path(), &["--resume", "run", "--set", "train.epochs=2", "--data-dir", "elsewhere"]);
    assert!(done(&longer).contains("epoch 2/2") && !done(&longer).contains("epoch 1/2"));

    // Damaged, byte by byte; cut off; weights of somebody else; and files that lack what the checkpoint knows of.
    let last = dir.path().join("run/checkpoints/last.safetensors");
    let good = fs::read(&last).unwrap();
    for at in [9, good.len() / 3, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&last, bad).unwrap();
        let what = ["last.safetensors", if at == 9 { "is not a checkpoint" } else { "is damaged" }];
        refused(&output(dir.path(), &["--resume", "run"]), 1, &what);
        if at != 9 {
            refused(&output(dir.path(), &["--init", "run/checkpoints/last.safetensors", "--out", "x"]), 1, &what);
        }
    }
    fs::write(&last, &good[..good.len() - 4]).unwrap();
    refused(&output(dir.path(), &["--resume", "run"]), 1, &["last.safetensors", "is not a checkpoint"]);
    fs::write(&last, &good).unwrap();
    let metrics = dir.path().join("run/metrics.jsonl");
    let lines = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, lines.lines().next().unwrap().to_owned() + "\n").unwrap();
    refused(&output(dir.path(), &["--resume", "run"]), 1, &["metrics.jsonl", "has 1 lines", "checkpoint counts 2"]);
    fs::write(&metrics, lines).unwrap();
    fs::remove_file(dir.path().join("run/checkpoints/best.safetensors")).unwrap();
    refused(&output(dir.path(), &["--resume", "run"]), 1, &["best.safetensors", "cannot be read"]);
}

/// Trains on a full disk, and returns the error output of the run. A limit on the size of files is a full disk to whoever writes: the
/// checkpoints do not fit, all else does.
#[cfg(unix)]
fn errors_on_a_full_disk(dir: &Path, environment: &[(&str, &str)]) -> String {
    let program = assert_cmd::cargo::cargo_bin!("train");
    let quick = settings(&[SMALL, &["model.hidden=400", "data.limit=320"]]).join(" ");
    let script = format!("trap '' XFSZ; ulimit -f 640; exec '{}' {quick} --out run", program.display());
    let mut command = Command::new("sh");
    let output = command.args(["-c", &script]).current_dir(dir).envs(environment.iter().copied()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    errors
}

#[cfg(unix)]
#[test]
fn a_full_disk_does_not_end_training_and_is_told_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let errors = errors_on_a_full_disk(dir.path(), &[]);
    assert_eq!(errors.matches("training continues in memory").count(), 1, "{errors}");
    for words in ["cannot be written: ", "error: run: not saved: ", "best.safetensors"] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    assert_eq!(fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap().lines().count(), 2);
    assert!(!errors.contains("metrics.jsonl") && dir.path().join("run/samples.png").exists(), "{errors}");
    assert_eq!(fs::read_dir(dir.path().join("run/checkpoints")).unwrap().count(), 0, "no half a file is left");
}

/// What could not be written is named also if training ends with an error.
#[cfg(unix)]
#[test]
fn a_full_disk_is_told_beside_another_error() {
    let dir = tempfile::tempdir().unwrap();
    let errors = errors_on_a_full_disk(dir.path(), &[("VAE_FAULT", "loss@6")]);
    for words in ["warning: run: not saved: ", "no checkpoint was saved", "is not finite at step 6"] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_vanishes_does_not_end_training() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path(), &[settings(&[SMALL]), vec!["--out", "run"]].concat(), Stdio::piped());
    wait_for(&mut child, &dir.path().join("run/steps.jsonl"));
    fs::rename(dir.path().join("run"), dir.path().join("moved")).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for words in ["warning: ", "not saved: ", "metrics.jsonl", "samples.png", "no checkpoint was saved"] {
        assert!(errors.contains(words), "{words}: {errors}");
    }
    // What had been saved is good to go on from.
    let whole = [settings(&[SMALL]), vec!["--out", "whole"]].concat();
    done(&crate::train(dir.path()).args(whole).output().unwrap());
    done(&crate::train(dir.path()).args(["--resume", "moved"]).output().unwrap());
    same(&dir.path().join("moved"), &files(&dir.path().join("whole")));
}

/// A loss and a gradient that are spoiled on purpose, on each device: step, tensor, layer and remedy are named, and what
/// was good is kept.
#[test]
fn what_is_not_finite_is_named_and_the_last_good_checkpoint_stays() {
    let dir = tempfile::tempdir().unwrap();
    let quick =
        ["data.limit=320", "train.epochs=3", "train.batch_size=16", "train.checkpoint_minutes=0", "loss.beta=0"];
    for device in ["cpu", "gpu"] {
        for (fault, words) in [
            ("loss@27", "the reconstruction loss is not finite at step 27, "),
            ("gradient@27", "the gradient of encoder.logvar.bias (layer encoder.logvar) is not finite at step 27, "),
        ] {
            let out = format!("{device}-{fault}");
            let args = [settings(&[SMALL, &quick]), vec!["--device", device, "--out", &out]].concat();
            let mut command = train(dir.path());
            let args = &args[2..]; // one --device
            let output = command.args(args).env("VAE_FAULT", fault).output().unwrap();
            refused(&output, 1, &[words, "lower train.learning_rate", "train.clip", "logvar", "/last.safetensors"]);
            let output = train(dir.path()).args(["--resume", &out, "--dry-run"]).output().unwrap();
            done(&output);
            let metrics = fs::read_to_string(dir.path().join(&out).join("metrics.jsonl")).unwrap();
            assert_eq!(metrics.lines().count(), 1, "it stands at the end of the first epoch");
        }
    }
    let output = train(dir.path()).args(["--out", "x"]).env("VAE_FAULT", "disk").output().unwrap();
    refused(&output, 2, &["VAE_FAULT=disk"]);
}

/// Resident pages of a process.
#[cfg(target_os = "linux")]
fn resident(child: &Child) -> f64 {
    let statm = fs::read_to_string(format!("/proc/{}/statm", child.id())).unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

/// 2,000 steps of one epoch, on the CPU and on a GPU: what 200 took is all that is taken.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_flat() {
    let dir = tempfile::tempdir().unwrap();
    // A process so small that a hundredth of it is a few pages tells nothing: a GPU's driver is large as it is.
    for (device, hidden) in [("cpu", "model.hidden=600"), ("gpu", "model.hidden=12")] {
        let steady =
            [hidden, "train.batch_size=4", "train.epochs=1", "train.log_steps=100", "train.checkpoint_minutes=0"];
        let args = [settings(&[SMALL, &steady]), vec!["--out", device, "--device", device]].concat();
        let mut child = start(dir.path(), &args[2..], Stdio::null());
        let steps = dir.path().join(device).join("steps.jsonl");
        wait_for(&mut child, &steps);
        let mut after = |lines: usize| {
            while fs::read_to_string(&steps).unwrap().lines().count() < lines {
                assert!(child.try_wait().unwrap().is_none());
                std::thread::sleep(Duration::from_millis(1));
            }
            resident(&child)
        };
        let (early, late) = (after(2), after(20));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(late < 1.01 * early, "on the {device}: {early} pages after 200 steps, {late} after 2,000");
    }
}

/// A grid whose second run was interrupted goes on with it where it stood.
#[cfg(unix)]
#[test]
fn a_grid_goes_on_within_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let grid = |out| [settings(&[SMALL]), vec!["--sweep", "loss.beta=1,2", "--out", out]].concat();
    done(&output(dir.path(), &grid("whole")));
    let mut child = start(dir.path(), &grid("grid"), Stdio::null());
    wait_for(&mut child, &dir.path().join("grid/beta=2/steps.jsonl"));
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let told = done(&output(dir.path(), &grid("grid")));
    assert!(told.contains("beta=1, already done") && told.contains("  resumed    after step "), "{told}");
    same(&dir.path().join("grid/beta=2"), &files(&dir.path().join("whole/beta=2")));
}
