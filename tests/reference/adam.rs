//! Adam by the formulas of its paper (1412.6980, algorithm 1), with PyTorch's weight decay: λ·p is added to the gradient.

/// One parameter and its moments.
#[derive(Clone, Debug)]
pub struct Adam {
    /// The parameter.
    pub p: f64,
    m: f64,
    /// The running mean of squared gradients.
    pub v: f64,
    t: i32,
}

/// The settings of Adam.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The learning rate.
    pub rate: f64,
    /// β₁, for the mean of gradients.
    pub beta1: f64,
    /// β₂, for the mean of squared gradients.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ.
    pub weight_decay: f64,
}

impl Adam {
    /// A parameter before its first step.
    pub fn new(p: f64) -> Adam {
        Adam { p, m: 0.0, v: 0.0, t: 0 }
    }

    /// One step along `gradient`.
    pub fn step(&mut self, gradient: f64, settings: Settings) {
        let Settings { rate, beta1, beta2, eps, weight_decay } = settings;
        self.t += 1;
        let g = gradient + weight_decay * self.p;
        self.m = beta1 * self.m + (1.0 - beta1) * g;
        self.v = beta2 * self.v + (1.0 - beta2) * g * g;
        let m_hat = self.m / (1.0 - beta1.powi(self.t));
        let v_hat = self.v / (1.0 - beta2.powi(self.t));
        self.p -= rate * m_hat / (v_hat.sqrt() + eps);
    }
}
