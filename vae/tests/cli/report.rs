//! `vae report`: one file that tells what came of runs, and what `train` leaves at its end.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::{done, refused, train, vae};

fn report(dir: &Path, words: &[&str]) -> Output {
    vae(dir, &[&["report"], words].concat())
}

/// A run of a second, in `out`.
fn trained(dir: &Path, out: &str, more: &[&str]) {
    let settings = ["model.kind=dense", "model.hidden=8", "model.z_dim=3", "data.limit=128", "train.epochs=2"];
    let settings = settings.iter().chain(more).flat_map(|setting| ["--set", setting]);
    done(&train(dir).args(settings).args(["--device", "cpu", "--out", out]).output().unwrap());
}

/// What stands between two strings, each time.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// All numbers of a JSON value.
fn numbers(value: &Value, found: &mut Vec<f64>) {
    match value {
        Value::Number(number) => found.extend(number.as_f64()),
        Value::Array(all) => all.iter().for_each(|value| numbers(value, found)),
        Value::Object(all) => all.values().for_each(|value| numbers(value, found)),
        _ => {}
    }
}

/// The page's own JSON.
fn json(page: &str) -> Value {
    let all = between(page, "<script type=\"application/json\" id=\"report\">", "</script>");
    assert_eq!(all.len(), 1);
    serde_json::from_str(all[0]).unwrap()
}

/// What must hold of every page.
#[track_caller]
fn sound(page: &str, runs: usize) {
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"), "not whole");
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    for url in ["http://", "https://", "url(", "@import", "src=\"/", "src=\"."] {
        // The namespace of SVG is a name; nothing is fetched from there.
        let found = page.replace("http://www.w3.org/2000/svg", "").contains(url);
        assert!(!found, "{url} would be fetched");
    }
    assert_eq!(page.matches("<h1>").count(), 1);
    for landmark in ["<header>", "<nav ", "<main ", "<footer>", "<html lang=\"en\">", "name=\"viewport\""] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
    for image in between(page, "<img ", ">") {
        let alt = between(image, " alt=\"", "\"");
        assert!(alt.len() == 1 && alt[0].len() > 10, "an image without words: {}", &image[image.len() - 200..]);
    }
    for svg in between(page, "<svg ", ">") {
        assert!(svg.contains("aria-hidden") || between(svg, "aria-label=\"", "\"")[0].len() > 10, "{svg}");
    }
    for heading in between(page, "<th", ">") {
        assert!(heading.is_empty() || heading.starts_with("ead") || heading.contains("scope="), "<th{heading}>");
    }
    let json = json(page);
    assert_eq!(json.as_array().unwrap().len(), runs);
    let mut known = Vec::new();
    numbers(&json, &mut known);
    let shown = between(page, "<data value=\"", "\"");
    assert!(shown.len() > 30, "{} numbers", shown.len());
    for number in shown {
        let value: f64 = number.parse().unwrap();
        assert!(value.is_nan() || known.contains(&value), "{number} is not in the JSON");
    }
}

/// The JSON of the page is that of the files beside it.
#[track_caller]
fn as_in_the_files(told: &Value, run: &Path) {
    let file = |name: &str| fs::read_to_string(run.join(name)).unwrap();
    let whole = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(told["scores"], whole(&file("scores.json")));
    assert_eq!(told["timing"], whole(&file("timing.json")));
    let metrics: Vec<Value> = file("metrics.jsonl").lines().map(whole).collect();
    assert_eq!(told["metrics"], Value::Array(metrics));
}

#[test]
fn train_leaves_a_report_and_report_writes_it_again() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path(), "run", &["loss.beta=0.5"]);
    let run = dir.path().join("run");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    sound(&page, 1);
    let told = &json(&page)[0];
    as_in_the_files(told, &run);
    assert_eq!((&told["name"], told["scores"]["images"].as_u64()), (&"run".into(), Some(256)));
    let sentence = told["verdict"]["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("The model uses ") && page.contains(sentence), "{sentence}");
    let command = told["command"].as_str().unwrap();
    assert!(
        command.starts_with("train --recipe quickstart --device cpu ") && command.contains("--set loss.beta=0.5"),
        "{command}"
    );
    let first = &told["settings"][0];
    assert!(first["instead_of"].is_string(), "{first}");

    // Every score is in one of three tables, with all its digits: a few first, the rest folded, and misleading ones with the reason.
    let tables = between(&page, "<table class=\"scores\">", "</table>");
    let rows = |table: &str| {
        between(table, "<th scope=\"row\">", "</tr>").iter().map(|row| (*row).to_owned()).collect::<Vec<_>>()
    };
    let [first, more, misleading] = [0, 1, 2].map(|i| rows(tables[i]));
    let scores = told["scores"]["scores"].as_array().unwrap();
    assert_eq!((tables.len(), first.len() + more.len() + misleading.len()), (3, scores.len()));
    for score in scores {
        let value = score["value"].as_f64().unwrap();
        let has = |rows: &[String]| rows.iter().any(|row| between(row, "<data value=\"", "\"")[0].parse() == Ok(value));
        let caveat = score["caveat"].as_str();
        assert!(if caveat.is_some() { has(&misleading) } else { has(&first) || has(&more) }, "{score}");
        if let Some(caveat) = caveat {
            let caveat = caveat.replace('/', "&#x2f;"); // as the template escapes it
            assert!(misleading.iter().any(|row| row.contains(&caveat)), "{caveat}");
        }
    }
    assert!((4..=8).contains(&first.len()), "{first:?}");
    for (row, words) in first.iter().zip([
        "MSE, per pixel <span class=\"better\">better ↓",
        "MSE of the mean image",
        "R² <span class=\"better\">better ↑",
    ]) {
        assert!(row.starts_with(words), "{row}");
    }
    for name in ["MI batch", "TC (mws)", "DW-KL (mws)", "DW-KL (mss)", "active units", "log likelihood"] {
        assert!(misleading.iter().any(|row| row.starts_with(name)), "{name}: {misleading:?}");
    }

    // The sentence compares the error with that of the mean image, and names the threshold of a latent in use.
    let validation = &told["metrics"][told["epoch"].as_u64().unwrap() as usize - 1]["validation"];
    let used = validation["kl_per_dim"].as_array().unwrap().iter().filter(|kl| kl.as_f64().unwrap() > 0.1).count();
    assert!(
        sentence.starts_with(&format!(
            "The model uses {used} of 3 latents (KL above 0.1 nat) and reconstructs validation images with "
        )),
        "{sentence}"
    );
    assert!(sentence.contains("the mean training image"), "{sentence}");
    assert!(page.contains("latents are in use: they have a KL above 0.1 nat."), "the threshold is named");

    // A caption is not repeated in its figure or in another caption.
    let captions = between(&page, "<figcaption>", "</figcaption>");
    let figures = between(&page, "<figure class=\"picture\">", "</figure>");
    let mut distinct = captions.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() == captions.len() && figures.len() >= 6, "{captions:?}");
    for figure in figures {
        let caption = between(figure, "<figcaption>", "</figcaption>")[0];
        let texts = [between(figure, "text-anchor=\"start\">", "<"), between(figure, "<title>", "<")].concat();
        assert!(
            !caption.contains("epoch") && texts.iter().all(|text| !caption.contains(text) || text.len() < 12),
            "{caption}: {texts:?}"
        );
    }

    // What was scored is not scored again, unless it is asked for.
    fs::remove_file(run.join("report.html")).unwrap();
    let words = done(&report(dir.path(), &["run"]));
    assert!(words.contains(sentence) && words.contains("run/report.html ("), "{words}");
    assert_eq!(fs::read_to_string(run.join("report.html")).unwrap(), page);
    done(&report(dir.path(), &["run", "--images", "64", "--out", "look.html"]));
    let look = fs::read_to_string(dir.path().join("look.html")).unwrap();
    sound(&look, 1);
    assert_eq!(json(&look)[0]["scores"]["images"], 64);
    as_in_the_files(&json(&look)[0], &run);

    // Times are those of the epochs.
    let timing = &told["timing"];
    for epoch in 0..2 {
        let seconds = told["metrics"][epoch]["seconds"].as_f64().unwrap();
        let kinds = ["data", "forward", "backward", "optimiser", "reading", "validation", "other"];
        let sum: f64 = kinds.iter().map(|kind| timing["epochs"][epoch][kind].as_f64().unwrap()).sum();
        assert!((sum - seconds).abs() < 0.002, "{sum} of {seconds} seconds");
        let work = ["forward", "backward", "validation"].map(|kind| timing["epochs"][epoch][kind].as_f64().unwrap());
        assert!(work.iter().all(|&seconds| seconds > 0.0), "{timing}");
    }
}

/// A run with two latents keeps the map after each epoch, and its report has a slider over them. Only the last one is shown at first.
#[test]
fn a_report_on_two_latents_has_the_map_of_each_epoch() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path(), "run", &["model.z_dim=2"]);
    let run = dir.path().join("run");
    let mut kept: Vec<_> = fs::read_dir(run.join("map")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["0000.png", "0001.png", "0002.png"]);
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    sound(&page, 1);
    let figure = between(&page, "<figure class=\"stills\">", "</figure>");
    assert_eq!(figure.len(), 1);
    let images = between(figure[0], "<img ", ">");
    let shown: Vec<bool> = images.iter().map(|image| !image.ends_with(" hidden")).collect();
    assert_eq!(shown, [false, false, true]);
    for (epoch, image) in images.iter().enumerate() {
        assert!(image.contains(&format!(" data-epoch=\"{epoch}\"")), "{epoch}");
    }
    let pictures: std::collections::BTreeSet<&str> =
        images.iter().flat_map(|image| between(image, "base64,", "\"")).collect();
    assert_eq!(pictures.len(), 3, "two epochs have the same picture");
    assert!(figure[0].contains("max=\"2\" step=\"1\" value=\"2\"") && figure[0].contains(">2</output>"));
    // Several runs are compared without it, and so is a run whose pictures are gone.
    done(&report(dir.path(), &["run", "run", "--out", "both.html"]));
    assert!(!fs::read_to_string(dir.path().join("both.html")).unwrap().contains("class=\"stills\""));
    fs::remove_dir_all(run.join("map")).unwrap();
    done(&report(dir.path(), &["run"]));
    assert!(!fs::read_to_string(run.join("report.html")).unwrap().contains("class=\"stills\""));
}

#[test]
fn a_finished_run_that_is_resumed_has_its_report_and_no_report_has_none() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path(), "run", &[]);
    let file = dir.path().join("run/report.html");
    fs::remove_file(&file).unwrap();
    done(&train(dir.path()).args(["--resume", "run", "--no-report"]).output().unwrap());
    assert!(!file.exists());
    done(&train(dir.path()).args(["--resume", "run", "--set", "train.epochs=3"]).output().unwrap());
    let page = fs::read_to_string(&file).unwrap();
    sound(&page, 1);
    let told = &json(&page)[0];
    assert_eq!((told["metrics"].as_array().unwrap().len(), told["timing"]["epochs"].as_array().unwrap().len()), (3, 3));
    // That a report fails is no failure of the run.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let output = train(dir.path()).args(["--resume", "run"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && errors.contains("warning: no report: ") && errors.contains("report.html"),
        "{errors}"
    );
}

#[test]
fn several_runs_stand_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    trained(dir.path(), "a", &[]);
    trained(dir.path(), "b", &["loss.beta=4", "model.z_dim=2"]);
    trained(dir.path(), "c", &["model.kind=classifier", "model.width=2"]);
    done(&report(dir.path(), &["a", "b", "c", "--out", "all.html"]));
    let page = fs::read_to_string(dir.path().join("all.html")).unwrap();
    sound(&page, 3);
    let json = json(&page);
    ["a", "b", "c"].iter().enumerate().for_each(|(i, name)| as_in_the_files(&json[i], &dir.path().join(name)));
    let differ = between(&page, "<h2 id=\"differences\">", "</section>")[0];
    for words in ["model.kind", "classifier", "loss.beta", "<code>4.0</code>", "model.z_dim"] {
        assert!(differ.contains(words), "{words} is not in {differ}");
    }
    assert!(!differ.contains("train.epochs"), "{differ}");
    let curves = between(&page, "<h2 id=\"curves\">", "</section>")[0];
    assert!(curves.contains("a, epoch 2: ") && curves.contains("b, epoch 2: ") && curves.contains("accuracy"));
    assert!(json[2]["verdict"]["sentence"].as_str().unwrap().starts_with("The model classifies "));
}

/// Names of folders are foreign text.
#[test]
fn foreign_names_are_text() {
    let dir = tempfile::tempdir().unwrap();
    let name = "<img src=x onerror=alert(1)>&\"'<";
    trained(dir.path(), name, &[]);
    let second = "\"><script><h1>";
    trained(dir.path(), second, &[]);
    let [run, other] = [name, second].map(|name| dir.path().join(name));
    let page = |path: &Path| fs::read_to_string(path).unwrap();
    done(&report(dir.path(), &[name, second, "--out", "both.html"]));
    for page in [page(&run.join("report.html")), page(&other.join("report.html")), page(&dir.path().join("both.html"))]
    {
        assert!(!page.contains("<img src=x") && !page.contains("\"><script><h1>"));
        assert_eq!([page.matches("<script").count(), page.matches("</script>").count()], [2, 2]);
        assert_eq!(page.matches("<h1>").count(), 1);
    }
    assert_eq!(json(&page(&run.join("report.html")))[0]["name"], name);
}

#[test]
fn what_cannot_be_told_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    refused(&report(dir.path(), &["nowhere"]), 1, &["nowhere/config.toml", "name the folder of a run"]);
    refused(&report(dir.path(), &[]), 2, &["RUN", "--help"]);
    trained(dir.path(), "run", &[]);
    refused(&report(dir.path(), &["run", "--images", "0"]), 2, &["--images"]);
    refused(&report(dir.path(), &["run", "--out", ".."]), 2, &["--out ..", "not the name of a file"]);
    refused(
        &report(dir.path(), &["run", "--out", "run/config.toml/a.html"]),
        1,
        &["run/config.toml", "cannot be created"],
    );
    let spoil = |file: &str, words: &[&str]| {
        let path = dir.path().join("run").join(file);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, "{").unwrap();
        refused(&report(dir.path(), &["run"]), 1, words);
        fs::write(&path, whole).unwrap();
    };
    spoil("scores.json", &["run/scores.json", "evaluate the run again"]);
    spoil("timing.json", &["run/timing.json", "remove it"]);
    let help = done(&report(dir.path(), &["--help"]));
    assert!(help.contains("\nExamples:\n  vae report runs/"), "{help}");
}
