//! What a live page knows: all that was told so far, in bounds, so that a page that is loaded late shows what one that was
//! there from the beginning does.
//!
//! ```text
//! {"name", "words", "unit", "epochs", "images",             what runs
//!  "progress": {"epoch", "step", "steps", "images_per_second"},
//!  "steps": [[epochs, total], …],                             the training loss since the last point, along the run
//!  "history": [a line of metrics.jsonl, …],  "pictures": the epoch of /reconstructions.png and /samples.png,
//!  "log": [words, …],  "ended": null or words}
//! ```

use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Value, json};
use vae_core::objective::number;
use vae_figures::preview::Preview;

/// Points of the curve of steps; where there are more, every second goes.
const POINTS: usize = 2_000;
/// Lines of the log.
const LINES: usize = 1_000;

/// What the training thread tells.
pub(super) enum Message {
    Begin(Begin),
    Step(Step),
    Epoch(Value, Preview),
    Line(String),
    End(String),
}

/// A run, as it begins.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Begin {
    pub(super) name: String,
    pub(super) words: String,
    pub(super) unit: &'static str,
    pub(super) epochs: usize,
    /// Training images.
    pub(super) images: usize,
    pub(super) history: Vec<Value>,
}

/// Steps since the last that was told.
pub(super) struct Step {
    pub(super) epoch: usize,
    pub(super) step: usize,
    pub(super) steps: usize,
    /// The mean loss of their images.
    pub(super) total: f64,
    pub(super) images_per_second: f64,
}

/// All of it.
#[derive(Default, Serialize)]
pub(super) struct State {
    #[serde(flatten)]
    begin: Begin,
    progress: Value,
    steps: Vec<[Value; 2]>,
    pictures: Option<Value>,
    log: VecDeque<String>,
    ended: Option<String>,
    /// Points that are left out between two of `steps`, and those since the last.
    #[serde(skip)]
    every: usize,
    #[serde(skip)]
    since: usize,
    #[serde(skip)]
    shown: Preview,
}

impl State {
    /// Keeps a message; what is new to a page that knows the rest: the name of an event, and its data.
    pub(super) fn keep(&mut self, message: Message) -> (&'static str, Value) {
        match message {
            Message::Begin(begin) => {
                self.begin = begin;
                ("state", self.json())
            }
            Message::Step(step) => {
                let Step { epoch, step, steps, total, images_per_second } = step;
                let speed = number((images_per_second * 10.0).round() / 10.0);
                self.progress = json!({"epoch": epoch, "step": step, "steps": steps, "images_per_second": speed});
                let along = (epoch - 1) as f64 + step as f64 / steps.max(1) as f64;
                let point = [json!((along * 1e4).round() / 1e4), number(total)];
                self.point(point.clone());
                ("step", json!({"progress": self.progress, "point": point}))
            }
            Message::Epoch(epoch, shown) => {
                self.pictures = Some(epoch["epoch"].clone()).filter(|_| !shown.is_empty());
                self.shown = shown;
                self.begin.history.push(epoch.clone());
                ("epoch", json!({"epoch": epoch, "pictures": self.pictures}))
            }
            Message::Line(words) => {
                if self.log.len() == LINES {
                    self.log.pop_front();
                }
                self.log.push_back(words.clone());
                ("line", json!(words))
            }
            Message::End(words) => {
                self.ended = Some(words.clone());
                ("end", json!(words))
            }
        }
    }

    /// All of it, as a page takes it.
    pub(super) fn json(&self) -> Value {
        json!(self)
    }

    /// How the run ended, if it has.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// What the model makes of images.
    pub(super) fn shown(&self) -> &Preview {
        &self.shown
    }

    fn point(&mut self, point: [Value; 2]) {
        self.since += 1;
        if self.since < self.every {
            return;
        }
        self.since = 0;
        self.steps.push(point);
        if self.steps.len() > POINTS {
            let mut place = 0;
            self.steps.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.every = 2 * self.every.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(epoch: usize, step: usize) -> Message {
        Message::Step(Step { epoch, step, steps: 10, total: 1.5, images_per_second: 99.96 })
    }

    #[test]
    fn who_comes_late_is_told_what_was_told() {
        let mut state = State::default();
        let begin = Begin { name: "r".into(), epochs: 3, ..Begin::default() };
        assert_eq!(state.keep(Message::Begin(begin)).0, "state");
        let (name, told) = state.keep(step(2, 5));
        let progress = json!({"epoch": 2, "step": 5, "steps": 10, "images_per_second": 100.0});
        assert_eq!((name, told), ("step", json!({"progress": progress, "point": [1.5, 1.5]})));
        let (name, told) = state.keep(Message::Epoch(json!({"epoch": 2}), Preview::default()));
        assert_eq!((name, told), ("epoch", json!({"epoch": {"epoch": 2}, "pictures": null})));
        state.keep(Message::Line("a".into()));
        state.keep(Message::End("finished".into()));
        let all = json!({
            "name": "r", "words": "", "unit": "", "epochs": 3, "images": 0, "history": [{"epoch": 2}],
            "progress": progress, "steps": [[1.5, 1.5]], "pictures": null, "log": ["a"], "ended": "finished",
        });
        assert_eq!(state.json(), all);
        assert!(state.has_ended());
    }

    #[test]
    fn what_is_no_number_is_told_as_a_word() {
        let told = Message::Step(Step { epoch: 1, step: 1, steps: 1, total: f64::NAN, images_per_second: 1.0 });
        assert_eq!(State::default().keep(told).1["point"], json!([1.0, "NaN"]));
    }

    #[test]
    fn it_grows_no_further_than_it_should() {
        let mut state = State::default();
        for i in 0..9 * POINTS {
            state.keep(step(1 + i / 10, i % 10 + 1));
            state.keep(Message::Line(i.to_string()));
        }
        assert!((POINTS / 2..=POINTS).contains(&state.steps.len()), "{}", state.steps.len());
        let along: Vec<f64> = state.steps.iter().map(|point| point[0].as_f64().unwrap()).collect();
        let gaps = along.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.clone().all(|gap| (gap - 1.6).abs() < 1e-6), "{:?}", gaps.take(9).collect::<Vec<_>>());
        assert_eq!((state.log.len(), state.log.back()), (LINES, Some(&(9 * POINTS - 1).to_string())));
    }
}
