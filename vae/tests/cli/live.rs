//! `train --live`: a run that is watched over real sockets.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::web::{Served, refuses_strangers};
use crate::{done, process, refused, train};

/// Half a second an epoch, about.
const TINY: [&str; 10] =
    ["--set", "model.kind=dense", "--set", "model.hidden=64", "--limit", "2048", "--device", "cpu", "--threads", "1"];

fn command(dir: &Path, epochs: usize, words: &[&str]) -> std::process::Command {
    let mut command = process("train", dir);
    command.args(TINY).args(["--set", &format!("train.epochs={epochs}")]).args(words);
    command
}

/// The events of a page, in order.
struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    fn of(served: &Served) -> Events {
        let mut stream = served.connect();
        write!(stream, "GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", served.address).unwrap();
        Events(BufReader::new(stream).lines())
    }
}

impl Iterator for Events {
    type Item = (String, Value);

    fn next(&mut self) -> Option<(String, Value)> {
        let mut lines = self.0.by_ref().map_while(Result::ok);
        let name = lines.find_map(|line| line.strip_prefix("event: ").map(str::to_owned))?;
        let data = lines.find_map(|line| Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap()))?;
        Some((name, data))
    }
}

/// The epochs of a run, without what depends on the clock.
fn epochs(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        ["seconds", "images_per_second"].iter().for_each(|key| line[key] = json!(0));
        line
    });
    lines.collect()
}

#[test]
fn a_page_that_is_loaded_late_shows_what_one_that_was_there_does() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(command(dir.path(), 12, &["--live", "--no-report", "--out", "run"]));
    let page = String::from_utf8(served.get("/")).unwrap();
    assert!(page.contains("/page.js") && !page.contains("http"), "{page}");
    let mut first = Events::of(&served);
    let (name, state) = first.next().unwrap();
    assert!(name == "state" && state["ended"].is_null(), "{name}: {state}");
    let mut known: Vec<(String, Value)> = Vec::new();
    while known.iter().filter(|(name, _)| name == "epoch").count() < 2 {
        known.push(first.next().expect("two epochs"));
    }
    // Reloaded: all at once, what came one after the other.
    let mut second = Events::of(&served);
    let (name, state) = second.next().unwrap();
    let history = state["history"].as_array().unwrap();
    let came: Vec<&Value> = known.iter().filter(|(name, _)| name == "epoch").map(|(_, data)| &data["epoch"]).collect();
    assert!(
        name == "state" && history.len() >= 2 && history[history.len().min(2) - 1] == *came[came.len() - 1],
        "{state}"
    );
    assert_eq!((&state["epochs"], &state["images"], &state["name"]), (&json!(12), &json!(2048), &json!("quickstart")));
    assert_eq!(history[0]["validation"]["kl_per_dim"].as_array().unwrap().len(), 16);
    assert!(
        state["steps"].as_array().unwrap().len() >= 2 && state["progress"]["images_per_second"].as_f64() > Some(0.0)
    );
    assert!(state["log"][0].as_str().unwrap().starts_with("epoch  1/12"), "{state}");
    // The pictures of all epochs so far are there.
    assert!(state["pictures"].as_array().is_some_and(|epochs| epochs.len() >= 2 && epochs[0] == 1), "{state}");
    for path in ["/reconstructions.png", "/samples.png"] {
        let pictures = ["", "?epoch=1", "?epoch=2"].map(|query| served.get(&format!("{path}{query}")));
        for picture in &pictures {
            let picture = image::load_from_memory(picture).unwrap();
            assert_eq!((picture.width(), picture.height()), (12 * 32, 64), "{path}");
        }
        assert_ne!(pictures[1], pictures[2], "{path}");
        assert_eq!(served.ask(&format!("GET {path}?epoch=999"), &[], b"").status, 404);
    }
    refuses_strangers(&served, dir.path());
    // Both are told the end, and it is the end.
    for events in [first, second] {
        assert_eq!(events.last(), Some(("end".into(), json!("finished"))));
    }
    assert_eq!(served.wait().code(), Some(0));
    // Who is watched computes the same.
    done(
        &train(dir.path())
            .args(TINY)
            .args(["--set", "train.epochs=12", "--no-report", "--out", "alone"])
            .output()
            .unwrap(),
    );
    assert_eq!(epochs(&dir.path().join("run")), epochs(&dir.path().join("alone")));
}

#[test]
fn a_run_that_goes_on_shows_what_it_had() {
    let dir = tempfile::tempdir().unwrap();
    done(&command(dir.path(), 1, &["--no-report", "--out", "run"]).output().unwrap());
    let mut resume = process("train", dir.path());
    let words = ["--resume", "run", "--set", "train.epochs=4", "--live", "--no-report", "--threads", "1"];
    resume.args(words);
    let served = Served::start(resume);
    let shown = Events::of(&served).find(|(name, state)| name == "state" && state["name"] == "quickstart");
    let (_, state) = shown.expect("a run");
    assert_eq!(state["history"][0]["epoch"], 1);
    assert_eq!(served.interrupt().code(), Some(130));
}

#[test]
fn what_cannot_be_served_is_told_before_anything_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command(dir.path(), 1, &["--live", "--port", &port, "--out", "run"]).output().unwrap();
    refused(&output, 1, &["the port is already in use; choose another --port"]);
    assert!(!dir.path().join("run").exists());
    refused(&command(dir.path(), 1, &["--port", "80"]).output().unwrap(), 2, &["--live"]);
    refused(&command(dir.path(), 1, &["--live", "--sweep", "seed=1,2"]).output().unwrap(), 2, &["--sweep", "--live"]);
}
