//! A whole training step to time: a model, its optimiser and one batch, without data or files.

use autograd::{Param, Var, no_grad};
use nn::Pass;
use nn::optim::{Adam, AdamConfig};
use tensor::{Generator, Tensor};
use vae::config::Config;
use vae::model::{self, Vae, reparameterise};
use vae::objective::Objective;

/// What one step needs.
pub struct Step {
    model: Box<dyn Vae>,
    objective: Objective,
    params: Vec<(String, Param)>,
    adam: Adam,
    x: Tensor,
    eps: Tensor,
    steps: u64,
}

impl Step {
    /// The model of a configuration, and a batch of `batch` random images.
    pub fn new(config: &Config, batch: usize) -> Step {
        let model = model::build(config);
        let params = nn::parameters(&*model);
        let mut rng = Generator::new(1);
        let (channels, size) = (config.channels(), config.image_size());
        Step {
            objective: Objective::new(config),
            params,
            adam: Adam::new(AdamConfig::default()),
            x: rng.uniform_tensor([batch, channels, size, size], 0.0, 1.0),
            eps: rng.normal_tensor([batch, config.model.z_dim]),
            model,
            steps: 0,
        }
    }

    /// Forward, backward, Adam. Returns the loss.
    pub fn train(&mut self) -> f32 {
        let total = self.loss(&Pass::train(1, self.steps));
        let loss = total.value().data()[0];
        self.adam.step(&self.params, &mut total.backward(), 1e-3);
        self.steps += 1;
        loss
    }

    /// Forward alone, in evaluation.
    pub fn forward(&self) -> f32 {
        no_grad(|| self.loss(&Pass::eval()).value().data()[0])
    }

    fn loss(&self, pass: &Pass) -> Var {
        let (mu, logvar) = self.model.encode(&Var::constant(self.x.clone()), pass);
        let logits = self.model.decode(&reparameterise(&mu, &logvar, &self.eps), pass);
        self.objective.terms(&logits, &self.x, &mu, &logvar).total
    }
}
