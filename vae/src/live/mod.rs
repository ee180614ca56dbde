//! A run under way, in a browser: `train --live`.
//!
//! The training thread sends what happens over a channel, at most a few times a second, and goes on ([`Live`]). The server's
//! thread keeps it (`state`) and tells every page that is open, whole to one that has just been loaded, then what is new
//! (`pages`).

mod pages;
mod state;

use std::time::{Duration, Instant};

use state::{Begin, Message, Step};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use vae_core::Result;
use vae_core::config::Config;
use vae_core::train::{Epoch, Progress};
use vae_figures::preview::Preview;
use vae_run;

use crate::serve::{self, Place, Server};

/// Between two messages about steps.
const PAUSE: Duration = Duration::from_millis(250);

/// What the training thread tells, and the server that shows it.
pub struct Live {
    messages: UnboundedSender<Message>,
    server: Server,
    /// Images and losses since the last message, and when that was; None while training pauses.
    images: usize,
    total: f64,
    since: Option<Instant>,
}

impl Live {
    /// Serves the page of a run that is about to begin, and opens it if there is a display.
    ///
    /// # Errors
    /// If nothing can be served there.
    pub fn start(place: Place) -> Result<Live> {
        let (messages, received) = unbounded_channel();
        let (pages, work) = pages::pages(received);
        let server = Server::start(place, pages, work)?;
        serve::open(&server.url());
        Ok(Live { messages, server, images: 0, total: 0.0, since: None })
    }

    /// Where the page is.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The run begins, or goes on after these epochs.
    pub fn begin(&mut self, config: &Config, images: usize, history: Vec<Epoch>) {
        self.send(Message::Begin(Begin {
            name: config.name.clone(),
            words: vae_run::describe(config),
            unit: vae_run::loss_unit(config),
            epochs: config.train.epochs,
            images,
            history: history.iter().map(Epoch::json).collect(),
        }));
    }

    /// A step is done.
    pub fn step(&mut self, step: &Progress) {
        let now = Instant::now();
        let Some(since) = self.since else {
            // The first step after a pause says when the others began.
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

    /// Training pauses: what follows does not count as its time.
    pub fn pause(&mut self) {
        (self.since, self.images, self.total) = (None, 0, 0.0);
    }

    /// An epoch is done, told in these words; the model now makes this of images.
    pub fn epoch(&mut self, epoch: &Epoch, shown: Preview, words: &str) {
        self.send(Message::Epoch(epoch.json(), shown));
        self.line(words);
    }

    /// A line of what the command tells.
    pub fn line(&self, words: &str) {
        self.send(Message::Line(words.trim().to_owned()));
    }

    /// The run has ended: so does the page's news.
    pub fn end(self, words: &str) {
        self.send(Message::End(words.to_owned()));
        let Live { messages, server, .. } = self;
        drop(messages);
        server.wait();
    }

    /// Nobody is hurt if the server is gone: the run is what counts.
    fn send(&self, message: Message) {
        let _ = self.messages.send(message);
    }
}

/// How a run ended, in words for its page.
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
