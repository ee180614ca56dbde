//! Optimisers by the formulas of their papers, one number at a time.

use tensor::Rule;

/// One parameter and what its optimiser keeps.
#[derive(Clone, Debug)]
pub struct Moving {
    /// The parameter.
    pub p: f64,
    /// The first tensor that the rule keeps: a running mean of gradients, or for RMSprop of their squares.
    pub m: f64,
    /// Adam's running mean of squared gradients.
    pub v: f64,
    t: i32,
}

/// The settings of an optimiser.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The rule.
    pub rule: Rule,
    /// The learning rate.
    pub rate: f64,
    /// λ.
    pub weight_decay: f64,
}

impl Moving {
    /// A parameter before its first step.
    pub fn new(p: f64) -> Moving {
        Moving { p, m: 0.0, v: 0.0, t: 0 }
    }

    /// One step along `gradient`.
    pub fn step(&mut self, gradient: f64, settings: Settings) {
        let Settings { rule, rate, weight_decay } = settings;
        self.t += 1;
        let coupled = gradient + weight_decay * self.p; // PyTorch's weight decay
        match rule {
            // 1412.6980, algorithm 1; 1711.05101, algorithm 2
            Rule::Adam { beta1, beta2, eps, decoupled } => {
                let g = if decoupled { gradient } else { coupled };
                self.m = beta1 * self.m + (1.0 - beta1) * g;
                self.v = beta2 * self.v + (1.0 - beta2) * g * g;
                let m_hat = self.m / (1.0 - beta1.powi(self.t));
                let v_hat = self.v / (1.0 - beta2.powi(self.t));
                let decay = if decoupled { rate * weight_decay * self.p } else { 0.0 };
                self.p -= decay + rate * m_hat / (v_hat.sqrt() + eps);
            }
            Rule::Sgd { momentum, nesterov } => {
                self.m = momentum * self.m + coupled;
                self.p -= rate * if nesterov { coupled + momentum * self.m } else { self.m };
            }
            Rule::RmsProp { alpha, eps } => {
                self.m = alpha * self.m + (1.0 - alpha) * coupled * coupled;
                self.p -= rate * coupled / (self.m.sqrt() + eps);
            }
            // 2302.06675, algorithm 2
            Rule::Lion { beta1, beta2 } => {
                let along = beta1 * self.m + (1.0 - beta1) * gradient;
                let sign = if along == 0.0 { 0.0 } else { along.signum() };
                self.p -= rate * (sign + weight_decay * self.p);
                self.m = beta2 * self.m + (1.0 - beta2) * gradient;
            }
        }
    }
}
