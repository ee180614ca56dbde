//! The loss of a batch on the device: total = Σ weight·part. Metrics show the unweighted parts.

use autograd::Var;
use tensor::Tensor;

use super::Losses;
use crate::error::Result;

/// The loss of a batch and its parts.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The scalar to call `backward` on.
    pub total: Var,
    /// The parts and further metrics, at most five (`tensor::GradientMonitor` watches them and the total).
    pub parts: Vec<Part>,
}

/// A scalar of a batch, a mean over its images.
#[derive(Clone, Debug)]
pub struct Part {
    /// The name in metrics.
    pub name: &'static str,
    /// The weight in the total; 0 for a metric that is not a part of it.
    pub weight: f64,
    /// The unweighted value.
    pub value: Var,
}

/// The names of the parts and their weights in the total, without the values.
#[derive(Clone, Debug, Default)]
pub struct TermWeights(Vec<(&'static str, f64)>);

impl Terms {
    /// Creates the weighted sum of these parts, each a name, a weight and a value.
    ///
    /// # Panics
    /// If there are no parts.
    #[track_caller]
    pub fn weighted<const N: usize>(parts: [(&'static str, f64, Var); N]) -> Terms {
        let weighted = parts.iter().map(|(_, weight, value)| match *weight as f32 {
            1.0 => value.clone(),
            weight => value.mul_scalar(weight),
        });
        let total = weighted.reduce(|sum, part| sum + part).expect("a loss has at least one part");
        Terms { total, parts: parts.into_iter().map(|(name, weight, value)| Part { name, weight, value }).collect() }
    }

    /// Adds a further part to the total.
    pub fn plus(mut self, name: &'static str, weight: f64, value: Var) -> Terms {
        self.total = self.total + value.mul_scalar(weight as f32);
        self.parts.push(Part { name, weight, value });
        self
    }

    /// Adds the loss of another player with a weight to the gradient, so that one backward pass serves both. It must share no parameter that is
    /// not a constant in one of the two. For readers it is a metric and no part of the total.
    pub fn with_opponent(mut self, name: &'static str, weight: f64, loss: Var) -> Terms {
        self.total = match weight as f32 {
            1.0 => self.total + &loss,
            weight => self.total + loss.mul_scalar(weight),
        };
        self.with_metric(name, loss)
    }

    /// Adds a metric that is not a part of the total.
    pub fn with_metric(mut self, name: &'static str, value: Var) -> Terms {
        self.parts.push(Part { name, weight: 0.0, value });
        self
    }

    /// Adds a metric that is not a part of the total, if there is one.
    pub fn with_some_metric(self, name: &'static str, value: Option<Var>) -> Terms {
        match value {
            Some(value) => self.with_metric(name, value),
            None => self,
        }
    }

    /// Returns the terms multiplied by the share of a batch in the images of a step. The sum over all batches is then the mean
    /// over these images.
    pub fn scaled(self, share: f32) -> Terms {
        if share == 1.0 {
            return self;
        }
        let parts = self.parts.into_iter().map(|part| Part { value: part.value.mul_scalar(share), ..part }).collect();
        Terms { total: self.total.mul_scalar(share), parts }
    }

    /// Adds the total and every part to the sums of earlier batches, or starts these sums.
    pub fn add_to(&self, sums: &mut Vec<Tensor>) {
        match sums.is_empty() {
            true => sums.extend(self.watched().into_iter().cloned()),
            false => sums.iter_mut().zip(self.watched()).for_each(|(sum, value)| sum.add_assign(value)),
        }
    }

    /// Returns the part with this name.
    pub fn part(&self, name: &str) -> Option<&Var> {
        self.parts.iter().find(|part| part.name == name).map(|part| &part.value)
    }

    /// Returns the total and every part, for a [`tensor::GradientMonitor`].
    pub fn watched(&self) -> Vec<&Tensor> {
        std::iter::once(self.total.value()).chain(self.parts.iter().map(|part| part.value.value())).collect()
    }

    /// Returns the names and weights.
    pub fn term_weights(&self) -> TermWeights {
        TermWeights(self.parts.iter().map(|part| (part.name, part.weight)).collect())
    }

    /// Reads the values from the device.
    pub async fn read(&self) -> Result<Losses> {
        // All reads start before the first one is awaited.
        let pending: Vec<_> = self.parts.iter().map(|part| part.value.value().read()).collect();
        let mut values = Vec::with_capacity(pending.len());
        for value in pending {
            values.push(value.await?[0]);
        }
        Ok(self.term_weights().losses(&values))
    }
}

impl TermWeights {
    /// Returns the losses with these values, one per part. The total is summed in f64.
    pub fn losses(&self, values: &[f32]) -> Losses {
        let parts: Vec<_> = self.0.iter().zip(values).map(|(&(name, _), &value)| (name, f64::from(value))).collect();
        let weighted = self.0.iter().zip(&parts).filter(|((_, weight), _)| *weight != 0.0);
        Losses { total: weighted.map(|((_, weight), (_, value))| weight * value).sum(), parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_the_weighted_sum_of_unweighted_parts() {
        let number = |x: f32| Var::leaf(Tensor::scalar(x));
        let (a, b) = (number(1.5), number(0.5));
        let terms = Terms::weighted([("a", 2.0, a.clone())]).plus("b", 3.0, b.clone()).with_metric("c", number(100.0));
        let gradients = terms.total.backward();
        assert_eq!([&a, &b].map(|var| gradients.of(var).unwrap().data()[0]), [2.0, 3.0]);
        assert_eq!(terms.watched().iter().map(|t| t.data()[0]).collect::<Vec<_>>(), [4.5, 1.5, 0.5, 100.0]);
        let losses = pollster::block_on(terms.read()).unwrap();
        assert_eq!(losses, Losses { total: 4.5, parts: vec![("a", 1.5), ("b", 0.5), ("c", 100.0)] });
        assert_eq!((losses.part("b"), losses.part("d")), (Some(0.5), None));
    }
}
