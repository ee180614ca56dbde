//! Drawing latents from a prior, and decoding them.

use tensor::Tensor;

use crate::data::Split;
use crate::error::Result;
use crate::predict::Predictor;
use crate::prior::Prior;
use crate::random::{Purpose, image_noise};

/// Every `async` method waits for the device. Its error is that of the device, or of an image that cannot be read.
impl Predictor {
    /// Returns what samples are drawn from, in a few words.
    pub fn prior_words(&self) -> String {
        self.any_prior(self.prior.as_deref()).map_or("N(0, I)".into(), |prior| prior.words())
    }

    /// Returns whether latents are drawn from N(0, I).
    pub fn draws_standard_normal(&self) -> bool {
        !self.config.model.has_codes() && self.any_prior(self.prior.as_deref()).is_none()
    }

    /// Returns a fitted prior, or else the model's own if that is not N(0, I).
    fn any_prior<'a>(&'a self, fitted: Option<&'a dyn Prior>) -> Option<&'a dyn Prior> {
        fitted.or_else(|| self.model.prior())
    }

    /// Draws `count` latents from the prior, on the CPU: `[count, z]`, or indices of codes `[count, rows, columns]`. Returns
    /// `None` for a model with codes and no fitted prior.
    pub async fn draw(&self, count: usize, seed: u64) -> Result<Option<Tensor>> {
        self.draw_from(self.prior.as_deref(), count, seed).await
    }

    /// Draws latents from another prior, as [`Predictor::draw`] does; from that of the model for `None`.
    pub async fn draw_from(&self, prior: Option<&dyn Prior>, count: usize, seed: u64) -> Result<Option<Tensor>> {
        let (model, mut rng) = (&self.config.model, Purpose::Samples.stream(seed, 0));
        let Some(prior) = self.any_prior(prior) else {
            return Ok((!model.has_codes()).then(|| rng.normal_tensor([count, model.z_dim])));
        };
        let numbers = prior.draw(count, &self.device, &mut rng).read().await?;
        let side = self.config.code_side();
        Ok(Some(match model.has_codes() {
            true => Tensor::new(&numbers, [count, side, side]),
            false => Tensor::new(&numbers, [count, model.z_dim]),
        }))
    }

    /// Returns `count` decoded draws from the prior, as pixels in [0, 1], or `None` for a model that cannot decode
    /// latents, or that has codes and no fitted prior. The samples of a conditional model are ordered by label, each label
    /// equally often.
    pub async fn sample(&self, count: usize) -> Result<Option<Vec<f32>>> {
        let classes = self.config.condition_classes();
        let labels: Vec<usize> = (0..count).map(|i| i * classes / count).collect();
        match self.draw(count, self.config.seed).await? {
            Some(drawn) => self.decode_drawn(&drawn, &labels).await,
            None => Ok(None),
        }
    }

    /// Decodes what [`Predictor::draw`] returned, as [`Predictor::decode`] and [`Predictor::decode_codes`] do.
    pub async fn decode_drawn(&self, drawn: &Tensor, labels: &[usize]) -> Result<Option<Vec<f32>>> {
        match self.config.model.has_codes() {
            true => self.decode_codes(drawn).await,
            false => self.decode(drawn, labels).await,
        }
    }

    /// Returns −ln p(latents) under the prior, in nats, the mean over rows of what [`Predictor::latents`] returned, or `None` for
    /// codes without a fitted prior.
    pub async fn latent_nats(&self, latents: &Tensor) -> Result<Option<f64>> {
        let (count, dims) = (latents.shape()[0], latents.shape()[1]);
        let Some(prior) = self.any_prior(self.prior.as_deref()) else {
            let squares = latents.data().iter().map(|&z| f64::from(z) * f64::from(z)).sum::<f64>() / count as f64;
            let nats = 0.5 * (squares + dims as f64 * std::f64::consts::TAU.ln());
            return Ok((!self.config.model.has_codes()).then_some(nats));
        };
        let (mut sum, size) = (0.0, self.config.train.batch_size);
        for first in (0..count).step_by(size) {
            let rows = size.min(count - first);
            let nats = prior.nats(&latents.slice(0, first, rows).upload(&self.device));
            sum += nats.read().await?.into_iter().map(f64::from).sum::<f64>();
        }
        Ok(Some(sum / count as f64))
    }

    /// Returns whether [`Predictor::latent_nats`] is only known to be at least −ln p, because it estimates a bound.
    pub fn latent_nats_are_a_bound(&self) -> bool {
        self.any_prior(self.prior.as_deref()).is_some_and(|prior| prior.nats_are_a_bound())
    }

    /// Returns ln p(z) in nats of each latent, `[count, z]`, under the prior that the model was trained with, whether or not another
    /// one was fitted afterwards. The model has no codes.
    pub async fn log_prior(&self, z: &Tensor) -> Result<Vec<f64>> {
        let Some(prior) = self.model.prior() else {
            let of = |z: &[f32]| z.iter().map(|&z| f64::from(z).powi(2) + std::f64::consts::TAU.ln()).sum::<f64>();
            return Ok(z.data().chunks_exact(z.shape()[1]).map(|z| -0.5 * of(z)).collect());
        };
        Ok(prior.nats(&z.upload(&self.device)).read().await?.into_iter().map(|nats| -f64::from(nats)).collect())
    }

    /// Returns the latents of images, one row each, to fit a prior to: a draw from the posterior of each image, `[places, z]`,
    /// or its codes, `[places, rows·columns]`. Returns `None` for a model without latents.
    pub async fn latents(&self, split: &Split, places: &[usize]) -> Result<Option<Tensor>> {
        if self.config.model.has_codes() {
            let codes = self.encode_codes(split, places).await?;
            return Ok(codes.map(|codes| codes.reshape([places.len(), self.config.code_side().pow(2)])));
        }
        let images: Vec<usize> = places.iter().map(|&place| split.indices()[place]).collect();
        let noise = image_noise(self.config.seed, &images, self.config.model.z_dim);
        let Some([mu, logvar]) = self.encode_drawing(split, places, Some(&noise)).await? else { return Ok(None) };
        Ok(Some(mu.add(&logvar.mul_scalar(0.5).exp().mul(&noise))))
    }
}
