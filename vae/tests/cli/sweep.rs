//! `train --sweep`: a grid in one folder, refused whole or run whole, resumed where it stopped.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

/// Settings of runs that take a moment.
const TINY: &[&str] = &[
    "--limit",
    "64",
    "--device",
    "cpu",
    "--set",
    "model.kind=dense",
    "--set",
    "model.hidden=8",
    "--set",
    "train.epochs=2",
];
/// Four of them.
const GRID: &[&str] = &["--sweep", "loss.beta=0,2", "--sweep", "model.z_dim=2,3", "--out", "grid"];

fn train(dir: &Path, args: &[&[&str]]) -> Output {
    crate::train(dir).args(args.concat()).output().unwrap()
}

/// Asserts success, and gives what was printed.
#[track_caller]
fn done(dir: &Path, args: &[&[&str]]) -> String {
    crate::done(&train(dir, args))
}

fn results(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("grid/results.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn written(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn a_grid_is_run_whole_and_its_runs_are_those_of_single_commands() {
    let dir = tempfile::tempdir().unwrap();
    let said = done(dir.path(), &[TINY, GRID]);
    let names = ["beta=0,z_dim=2", "beta=0,z_dim=3", "beta=2,z_dim=2", "beta=2,z_dim=3"];
    let table: Vec<&str> = said.lines().filter(|line| line.starts_with('|')).collect();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let head = ["", "loss.beta", "model.z_dim", "best epoch", "total", "reconstruction", "kl", "mse", "seconds", ""];
    assert_eq!((table.len(), cells(table[0])), (6, head.map(str::to_owned).to_vec()), "{said}");
    assert_eq!(cells(table[4])[1..4], ["2", "2", "2 of 2"].map(str::to_owned), "{said}");
    let kept = fs::read_to_string(dir.path().join("grid/table.md")).unwrap();
    assert_eq!(kept.lines().collect::<Vec<_>>(), table);
    assert_eq!(&fs::read(dir.path().join("grid/curves.png")).unwrap()[1..4], b"PNG");
    let svg = fs::read_to_string(dir.path().join("grid/curves.svg")).unwrap();
    assert!(names.iter().all(|name| svg.contains(&format!(">{name}</text>"))), "{svg}");
    for (result, name) in results(dir.path()).iter().zip(names) {
        assert_eq!((result["point"].as_str(), result["best_epoch"].as_u64()), (Some(name), Some(2)));
        assert!(dir.path().join("grid").join(name).join("checkpoints/best.safetensors").exists());
        let metrics = fs::read_to_string(dir.path().join("grid").join(name).join("metrics.jsonl")).unwrap();
        let last: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        assert_eq!(last["validation"], result["validation"]);
    }
    done(dir.path(), &[TINY, &["--set", "loss.beta=2", "--set", "model.z_dim=3", "--out", "single"]]);
    let losses = |run: &str| {
        let text = fs::read_to_string(dir.path().join(run).join("metrics.jsonl")).unwrap();
        let part = |line: &str| serde_json::from_str::<Value>(line).unwrap()["validation"].clone();
        text.lines().map(part).collect::<Vec<_>>()
    };
    assert_eq!(losses("single"), losses("grid/beta=2,z_dim=3"));
}

#[test]
fn a_grid_goes_on_where_it_stopped_and_grows() {
    let dir = tempfile::tempdir().unwrap();
    done(dir.path(), &[TINY, &["--sweep", "loss.beta=0,2", "--out", "grid"]]);
    let before = results(dir.path());
    let kept = written(&dir.path().join("grid/beta=0/config.toml"));
    // As if the second had been interrupted: no result, and only a part of its files.
    fs::write(dir.path().join("grid/results.jsonl"), format!("{}\n", before[0])).unwrap();
    fs::write(dir.path().join("grid/beta=2/metrics.jsonl"), "torn").unwrap();
    let listed = done(dir.path(), &[TINY, &["--sweep", "loss.beta=0,2,4", "--out", "grid", "--dry-run"]]);
    assert!(listed.contains("beta=0  effective β = 0, already done\nbeta=2  effective β = 2\nbeta=4"), "{listed}");
    let said = done(dir.path(), &[TINY, &["--sweep", "loss.beta=0,2,4", "--out", "grid"]]);
    assert!(said.contains("point 1 of 3: beta=0, already done") && said.contains("point 2 of 3: beta=2\n"), "{said}");
    assert_eq!(written(&dir.path().join("grid/beta=0/config.toml")), kept, "it was not run again");
    let after = results(dir.path());
    assert_eq!((after.len(), &after[0], &after[1]["validation"]), (3, &before[0], &before[1]["validation"]));
    // Another configuration has no business in this folder.
    let other = [TINY, &["--set", "seed=2", "--sweep", "loss.beta=0,2,4", "--out", "grid"]];
    refused(dir.path(), &other, &["grid/beta=0", "another configuration", "--out"]);
    assert_eq!(results(dir.path()), after);
    // A sweep is not resumed as a run is.
    let resumed = train(dir.path(), &[&["--resume", "grid"]]);
    let words = ["grid: this is the folder of a sweep, which goes on when its command is given again with --out grid"];
    crate::refused(&resumed, 2, &words);
    crate::refused(&crate::vae(dir.path(), &["info", "grid"]), 2, &["grid: contains runs", "such as grid/beta=0"]);
}

/// The error may be temporary, so the folder of such a run is kept.
#[test]
fn a_run_that_cannot_be_read_is_kept_beside_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let grid = [TINY, &["--sweep", "loss.beta=0,2", "--out", "grid"]];
    done(dir.path(), &grid);
    let before = results(dir.path());
    for n in 1..=2 {
        fs::write(dir.path().join("grid/beta=2/checkpoints/last.safetensors"), "damaged").unwrap();
        fs::write(dir.path().join("grid/results.jsonl"), format!("{}\n", before[0])).unwrap();
        let again = train(dir.path(), &grid);
        let warned = String::from_utf8_lossy(&again.stderr).into_owned();
        crate::done(&again);
        let kept = format!("grid/beta=2.unreadable-{n}");
        assert!(warned.contains("the run is started again, and what it had trained is kept in"), "{warned}");
        assert!(warned.contains(&kept), "{warned}");
        assert!(dir.path().join(kept).join("checkpoints/best.safetensors").exists());
        assert_eq!(results(dir.path())[1]["validation"], before[1]["validation"]);
    }
}

/// Asserts exit code 2 and one line on stderr that holds all of `words`.
#[track_caller]
fn refused(dir: &Path, args: &[&[&str]], words: &[&str]) {
    crate::refused(&crate::without_warnings(train(dir, args)), 2, words);
}

#[test]
fn a_bad_point_is_refused_before_any_runs() {
    let dir = tempfile::tempdir().unwrap();
    let many = format!("loss.beta={}", (0..40).map(|beta| beta.to_string()).collect::<Vec<_>>().join(","));
    let seeds = many.replace("loss.beta", "seed");
    let cases: &[(&[&str], &[&str])] = &[
        (&["loss.beta"], &["key=value"]),
        (&["loss.beta=1,,2"], &["a value is missing"]),
        (&["loss.beta="], &["a value is missing"]),
        (&["loss.bta=1,2"], &["--sweep", "did you mean loss.beta?"]),
        (&["loss.beta=1,two"], &["--sweep", "loss.beta must be a number"]),
        (&["loss.beta=1,-2"], &["beta=-2", "loss.beta = -2"]),
        (&["model.z_dim=2,0", "loss.beta=1,2"], &["z_dim=0,beta=1", "model.z_dim = 0"]),
        (&["loss.beta=1", "loss.beta=2"], &["loss.beta is swept twice"]),
        (&["loss.beta=1,1"], &["beta=1", "twice"]),
        (&["loss.beta=1,1.0"], &["beta=1.0", "twice"]),
        (&["device=cpu,gpu"], &["--device"]),
        (&["loss.k1+loss.k2=1:2:3"], &["2 keys need one value, or 2"]),
        (&["model.hidden=8,9000000000000000"], &["hidden=9000000000000000", "GiB"]),
        (&[&many, &seeds], &["more than 1000 points"]),
    ];
    for (sweeps, words) in cases {
        let sweeps: Vec<&str> = sweeps.iter().flat_map(|sweep| ["--sweep", sweep]).collect();
        refused(dir.path(), &[TINY, &sweeps, &["--out", "grid"]], words);
        refused(dir.path(), &[TINY, &sweeps, &["--dry-run"]], words);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    done(dir.path(), &[TINY, &["--out", "run"]]);
    refused(dir.path(), &[TINY, &["--sweep", "loss.beta=1", "--out", "run"]], &["contains a run already", "--out"]);
}

#[test]
fn a_dry_run_lists_the_points_and_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tied = ["--set", "loss.kind=tc", "--sweep", "loss.alpha+loss.beta+loss.gamma=1,3", "--dry-run"];
    let said = done(dir.path(), &[TINY, &tied]);
    assert!(said.contains("alpha+beta+gamma=3  effective β = 3\n") && said.contains("2 points"), "{said}");
    let plan: Value = serde_json::from_str(&done(dir.path(), &[TINY, &tied, &["--json"]])).unwrap();
    let loss = &plan["points"][1]["config"]["loss"];
    assert_eq!([&loss["alpha"], &loss["beta"], &loss["gamma"]].map(Value::as_f64), [Some(3.0); 3]);
    assert_eq!(plan["points"][1]["settings"]["loss.gamma"], "3");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn seeds_are_summarised_with_the_chosen_scores() {
    let dir = tempfile::tempdir().unwrap();
    let seeds = ["--sweep", "loss.beta=0,2", "--sweep", "seed=1,2", "--out", "grid"];
    let said = done(dir.path(), &[TINY, &seeds, &["--score", "mse,frechet_distance"]]);
    let read = |file: &str| fs::read_to_string(dir.path().join("grid").join(file)).unwrap();
    let lines =
        read("table.csv").lines().map(|line| line.split(',').map(str::to_owned).collect()).collect::<Vec<Vec<_>>>();
    let head = ["loss.beta", "seed", "best_epoch", "epochs", "total", "reconstruction", "kl", "mse", "test_mse"];
    assert_eq!((lines.len(), &lines[0][..9]), (5, &head.map(str::to_owned)[..]));
    let scores: Value = serde_json::from_str(&read("beta=2,seed=1/scores.json")).unwrap();
    let mse = scores["scores"].as_array().unwrap().iter().find(|score| score["name"] == "mse").unwrap();
    assert_eq!((&lines[3][..2], lines[3][8].parse().ok()), (&["2".to_owned(), "1".into()][..], mse["value"].as_f64()));
    // x̄ ± s of two numbers: s is their distance divided by √2.
    let [a, b]: [f64; 2] = [1, 2].map(|row: usize| lines[row][8].parse().unwrap());
    let table = read("table.md");
    let summary = table.lines().find(|line| line.starts_with("|") && line.contains('±')).unwrap();
    let cell = summary.split('|').map(str::trim).nth(7).unwrap();
    let numbers: Vec<f64> = cell.split(" ± ").map(|number| number.parse().unwrap()).collect();
    assert!(
        (numbers[0] - (a + b) / 2.0).abs() < 1e-5 && (numbers[1] - (a - b).abs() / 2f64.sqrt()).abs() < 1e-6,
        "{cell}"
    );
    assert!(said.contains(summary), "{said}");

    // The folder of the sweep stands for its runs.
    let told = done_vae(dir.path(), &["report", "grid"]);
    assert!(
        told.contains("grid/report.html") && told.contains("beta=0,seed=1: ") && told.contains("beta=2,seed=2: "),
        "{told}"
    );
    let page = read("report.html");
    assert!(page.contains("4 runs"), "the title");
    // The page has the table over seeds, too, with the first scores of a report. The means are those of table.md.
    let (_, section) = page.split_once("<h2 id=\"seeds\">").unwrap();
    let section = section.split("</section>").next().unwrap();
    let cells = |row: &str, tag: &str| -> Vec<String> {
        row.split(tag).skip(1).map(|cell| cell.split('<').next().unwrap().to_owned()).collect()
    };
    let titles = cells(section, "<th scope=\"col\">");
    let row = cells(section.split("<tr>").nth(2).unwrap(), "<td>");
    let kept: Vec<&str> = summary.trim_matches('|').split('|').map(str::trim).collect();
    assert_eq!(titles[..6], ["loss.beta", "seeds", "total", "reconstruction", "kl", "mse"]);
    assert_eq!(row[..6], kept[..6], "{section}");
    let test_mse = titles.iter().position(|title| title == "test mse").unwrap();
    assert_eq!((row[test_mse].as_str(), row.len()), (kept[6], titles.len()));
    fs::create_dir(dir.path().join("none")).unwrap();
    fs::write(dir.path().join("none/results.jsonl"), "").unwrap();
    crate::refused(&crate::vae(dir.path(), &["report", "none"]), 1, &["none: ", "none of its runs has ended"]);
}

#[test]
fn the_name_of_a_score_is_checked_before_any_run() {
    let dir = tempfile::tempdir().unwrap();
    let grid = ["--sweep", "loss.beta=0,2", "--out", "grid", "--score", "mse,mes"];
    for more in [&[][..], &["--dry-run"]] {
        let words = ["--score mes: there is no such score; beta=0 has total, ", " psnr, ", " mig, "];
        refused(dir.path(), &[TINY, &grid, more], &words);
    }
    // Only one of these two models has this score.
    let kinds = ["--sweep", "loss.kind=tc,beta", "--out", "grid", "--score", "dw_kl"];
    refused(dir.path(), &[TINY, &kinds], &["--score dw_kl: there is no such score; kind=beta has total, "]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn done_vae(dir: &Path, words: &[&str]) -> String {
    crate::done(&crate::vae(dir, words))
}

#[test]
fn a_sweep_over_missing_images_cannot_start() {
    let dir = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--json"]] {
        let output = train(dir.path(), &[&["--sweep", "data.kind=digits,mnist", "--dry-run"], more]);
        crate::refused(&output, 1, &["kind=mnist cannot start", "not found"]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("kind=digits"));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// With several jobs, a grid and its table are the same.
#[test]
fn points_at_the_same_time_have_the_same_results() {
    let dir = tempfile::tempdir().unwrap();
    let without_seconds = |dir: &Path| {
        let mut lines = results(dir);
        lines.iter_mut().for_each(|line| {
            line.as_object_mut().unwrap().remove("seconds");
        });
        lines
    };
    done(dir.path(), &[TINY, GRID, &["--threads", "2"]]);
    let one_after_the_other = without_seconds(dir.path());
    fs::remove_dir_all(dir.path().join("grid")).unwrap();
    let said = done(dir.path(), &[TINY, GRID, &["--threads", "2", "--jobs", "2", "--score", "mse"]]);
    assert!(said.contains("2 runs are trained at the same time, with 1 thread each"), "{said}");
    assert!(said.contains("beta=2,z_dim=3: epoch 2/2") && said.contains("beta=2,z_dim=3: ended"), "{said}");
    assert_eq!(without_seconds(dir.path()), one_after_the_other);
}

#[test]
fn a_point_that_diverges_does_not_keep_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let rates = ["--sweep", "train.learning_rate=1e30,1e-3", "--out", "grid"];
    for _ in 0..2 {
        let output = train(dir.path(), &[TINY, &rates]);
        let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.ends_with("error: 1 of 2 points diverged; results.jsonl shows where\n"), "{errors}");
        let row = said.lines().find(|line| line.starts_with('|') && line.contains("1e30")).unwrap();
        assert!(row.contains("diverged") && row.contains('–'), "{said}");
    }
    let results = results(dir.path());
    assert!(results[0]["failed"].as_str().unwrap().contains("is not finite"), "{results:?}");
    assert_eq!((results.len(), results[1]["best_epoch"].as_u64()), (2, Some(2)));
}

/// Stopped by Ctrl-C in its second run, a grid keeps the first and says how to go on.
#[cfg(unix)]
#[test]
fn an_interrupted_grid_can_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let long = ["--sweep", "train.epochs=1,100000", "--out", "grid"];
    let mut child = crate::process("train", dir.path())
        .args([TINY, &long].concat())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let second = dir.path().join("grid/epochs=100000/metrics.jsonl");
    let start = Instant::now();
    while !second.exists() {
        assert!(start.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "no second run");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("1 of 2 points are done; run the same command with --out grid to continue"), "{errors}");
    assert_eq!(results(dir.path()).len(), 1);
    let listed = done(dir.path(), &[TINY, &long, &["--dry-run"]]);
    assert_eq!(listed.matches("already done").count(), 1, "{listed}");
}
