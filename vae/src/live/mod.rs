//! A page that shows a run while it trains (`vae train --live`).
//!
//! The training thread sends messages over a channel, at most a few per second, and does not wait ([`Live`]). The server's
//! thread stores them (`state`, `pictures`) and sends them to all open pages: the whole state to a new page, then the changes (`pages`).

mod pages;
mod pictures;
mod state;

use std::time::{Duration, Instant};

use state::{Begin, Message, Step};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use vae_core::Result;
use vae_core::config::{Config, ModelPrior};
use vae_core::objective::PART_UNITS;
use vae_core::train::{Epoch, Progress};
use vae_figures::map;
use vae_figures::preview::Preview;
use vae_run;

use crate::serve::{self, Place, Server};

/// The least time between two messages about steps.
const PAUSE: Duration = Duration::from_millis(250);

/// The training thread's connection to the server of the live page.
pub struct Live {
    messages: UnboundedSender<Message>,
    server: Server,
    /// The images and losses since the last message, and its time; `None` while training pauses.
    images: usize,
    total: f64,
    since: Option<Instant>,
}

impl Live {
    /// Starts the server for a run that is about to begin, and opens the page if there is a display.
    ///
    /// # Errors
    /// If the address cannot be used.
    pub fn start(place: Place) -> Result<Live> {
        let (messages, received) = unbounded_channel();
        let (pages, work) = pages::pages(received);
        let server = Server::start(place, pages, work)?;
        serve::open(&server.url());
        Ok(Live { messages, server, images: 0, total: 0.0, since: None })
    }

    /// The URL of the page.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Reports that the run begins, or continues after the epochs of `history`.
    pub fn begin(&mut self, config: &Config, images: usize, history: Vec<Epoch>) {
        self.send(Message::Begin(Begin {
            name: config.name.clone(),
            words: vae_run::describe(config),
            unit: vae_run::loss_unit(config),
            units: PART_UNITS.into(),
            prior: match config.model.prior {
                ModelPrior::Standard => "N(0, I)",
                ModelPrior::Vamp => "the VampPrior",
            },
            epochs: config.train.epochs,
            images,
            map: map::fits(config),
            history: history.iter().map(Epoch::json).collect(),
        }));
    }

    /// Reports a finished step.
    pub fn step(&mut self, step: &Progress) {
        let now = Instant::now();
        let Some(since) = self.since else {
            // The first step after a pause only starts the clock.
            self.since = Some(now);
            return;
        };
        self.images += step.images;
        self.total += step.losses.total * step.images as f64;
        let passed = now - since;
        if passed < PAUSE && step.step < step.steps {
            return;
        }
        let images = std::mem::take(&mut self.images) as f64;
        let total = std::mem::take(&mut self.total) / images;
        self.since = Some(now);
        let (epoch, steps) = (step.epoch, step.steps);
        let speed = images / passed.as_secs_f64().max(1e-9);
        self.send(Message::Step(Step { epoch, step: step.step, steps, total, images_per_second: speed }));
    }

    /// Reports that training pauses. The time until the next step does not count.
    pub fn pause(&mut self) {
        (self.since, self.images, self.total) = (None, 0, 0.0);
    }

    /// Reports a finished epoch, with a line of text and images of the current model.
    pub fn epoch(&mut self, epoch: &Epoch, shown: Preview, words: &str) {
        self.send(Message::Epoch(epoch.json(), shown));
        self.line(words);
    }

    /// Reports a line that the command has printed.
    pub fn line(&self, words: &str) {
        self.send(Message::Line(words.trim().to_owned()));
    }

    /// Reports the end of the run.
    pub fn end(self, words: &str) {
        self.send(Message::End(words.to_owned()));
        let Live { messages, server, .. } = self;
        drop(messages);
        server.wait();
    }

    /// Errors are ignored: the run continues if the server is gone.
    fn send(&self, message: Message) {
        let _ = self.messages.send(message);
    }
}

/// Describes how a run ended.
pub fn ended(outcome: &Result<vae_run::Outcome>) -> String {
    match outcome {
        Ok(vae_run::Outcome::Finished) => "finished".into(),
        Ok(vae_run::Outcome::Stopped { after, best }) => {
            format!("stopped after epoch {after}: the validation loss has not improved since epoch {best}")
        }
        Ok(vae_run::Outcome::Interrupted) => "interrupted".into(),
        Err(error) => format!("failed: {error}"),
    }
}
