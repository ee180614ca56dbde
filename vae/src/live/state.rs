//! The state that a live page shows: all events so far, in bounded memory. A page that is opened late shows the same as one
//! that was open from the beginning.
//!
//! ```text
//! {"name", "words", "epochs", "images", "map", "prior",      what runs; whether the model has a map of two latents
//!  "unit", "units": {part: unit},                             of the total, and of the parts that are not nats per image
//!  "progress": {"epoch", "step", "steps", "images_per_second"},
//!  "steps": [[epochs, total], …],                             the training loss since the last point, along the run
//!  "history": [a line of metrics.jsonl, …],  "pictures": [the epochs that have some, …],
//!  "log": [words, …],  "ended": null or words}
//! ```

use std::collections::{BTreeMap, VecDeque};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use vae_core::objective::number;
use vae_figures::preview::Preview;

use super::pictures::Pictures;

/// The largest number of points in the curve of steps. When it is reached, every second point is dropped.
const POINTS: usize = 2_000;
/// The largest number of lines in the log.
const LINES: usize = 1_000;

/// A message of the training thread.
pub(super) enum Message {
    Begin(Begin),
    Step(Step),
    Epoch(Value, Preview),
    Line(String),
    End(String),
}

/// The beginning of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Begin {
    pub(super) name: String,
    pub(super) words: String,
    pub(super) unit: &'static str,
    /// The units of the parts of the loss that are not nats per image.
    pub(super) units: BTreeMap<&'static str, &'static str>,
    /// The prior of the samples.
    pub(super) prior: &'static str,
    pub(super) epochs: usize,
    /// The number of training images.
    pub(super) images: usize,
    /// Whether the model has a map of two latents.
    pub(super) map: bool,
    pub(super) history: Vec<Value>,
}

/// The steps since the last message.
pub(super) struct Step {
    pub(super) epoch: usize,
    pub(super) step: usize,
    pub(super) steps: usize,
    /// The mean loss of their images.
    pub(super) total: f64,
    pub(super) images_per_second: f64,
}

/// The whole state.
#[derive(Default, Serialize)]
pub(super) struct State {
    #[serde(flatten)]
    begin: Begin,
    progress: Value,
    steps: Vec<[Value; 2]>,
    #[serde(serialize_with = "epochs")]
    pictures: Pictures,
    log: VecDeque<String>,
    ended: Option<String>,
    /// How many steps make one point of `steps`, and the number of steps since the last point.
    #[serde(skip)]
    every: usize,
    #[serde(skip)]
    since: usize,
}

fn epochs<S: Serializer>(pictures: &Pictures, serializer: S) -> Result<S::Ok, S::Error> {
    pictures.epochs().serialize(serializer)
}

impl State {
    /// Applies a message. Returns the event for pages that have the previous state: its name and its data.
    pub(super) fn apply(&mut self, message: Message) -> (&'static str, Value) {
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
                self.pictures.add(epoch["epoch"].as_u64().unwrap_or_default(), &shown);
                self.begin.history.push(epoch.clone());
                ("epoch", json!({"epoch": epoch, "pictures": self.pictures.epochs()}))
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

    /// The whole state as JSON.
    pub(super) fn json(&self) -> Value {
        json!(self)
    }

    /// Returns whether the run has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// The pictures of the epochs.
    pub(super) fn pictures(&self) -> &Pictures {
        &self.pictures
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
    fn a_late_page_gets_everything_so_far() {
        let mut state = State::default();
        let begin = Begin { name: "r".into(), epochs: 3, ..Begin::default() };
        assert_eq!(state.apply(Message::Begin(begin)).0, "state");
        let (name, told) = state.apply(step(2, 5));
        let progress = json!({"epoch": 2, "step": 5, "steps": 10, "images_per_second": 100.0});
        assert_eq!((name, told), ("step", json!({"progress": progress, "point": [1.5, 1.5]})));
        let (name, told) = state.apply(Message::Epoch(json!({"epoch": 2}), Preview::default()));
        assert_eq!((name, told), ("epoch", json!({"epoch": {"epoch": 2}, "pictures": []})));
        state.apply(Message::Line("a".into()));
        state.apply(Message::End("finished".into()));
        let all = json!({
            "name": "r", "words": "", "unit": "", "units": {}, "prior": "", "epochs": 3, "images": 0, "map": false, "history": [{"epoch": 2}],
            "progress": progress, "steps": [[1.5, 1.5]], "pictures": [], "log": ["a"], "ended": "finished",
        });
        assert_eq!(state.json(), all);
        assert!(state.has_ended());
    }

    #[test]
    fn numbers_that_are_not_finite_are_sent_as_words() {
        let told = Message::Step(Step { epoch: 1, step: 1, steps: 1, total: f64::NAN, images_per_second: 1.0 });
        assert_eq!(State::default().apply(told).1["point"], json!([1.0, "NaN"]));
    }

    #[test]
    fn the_state_stays_bounded() {
        let mut state = State::default();
        for i in 0..9 * POINTS {
            state.apply(step(1 + i / 10, i % 10 + 1));
            state.apply(Message::Line(i.to_string()));
        }
        assert!((POINTS / 2..=POINTS).contains(&state.steps.len()), "{}", state.steps.len());
        let along: Vec<f64> = state.steps.iter().map(|point| point[0].as_f64().unwrap()).collect();
        let gaps = along.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.clone().all(|gap| (gap - 1.6).abs() < 1e-6), "{:?}", gaps.take(9).collect::<Vec<_>>());
        assert_eq!((state.log.len(), state.log.back()), (LINES, Some(&(9 * POINTS - 1).to_string())));
    }
}
