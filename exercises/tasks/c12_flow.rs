//! A change of variables.
//!
//! A flow maps x to u = (x − shift)·e^(−log_scale), and u is N(0, 1). Where the map stretches, the density of x is higher:
//!   ln p(x) = ln N(u; 0, 1) + ln |du/dx|
//! Return ln p(x). The check measures the area under p, and looks at two points.

use crate::help::{Verdict, near};

pub fn log_density(x: f64, shift: f64, log_scale: f64) -> f64 {
    todo!("the normal log-density of u, plus the logarithm of the slope")
}

pub fn check(log_density: fn(f64, f64, f64) -> f64) -> Verdict {
    for (shift, log_scale) in [(0.0, 0.0), (3.0, 0.0), (0.0, 1.0), (-2.0, -1.5)] {
        let flow = format!("for shift {shift} and log-scale {log_scale}");
        let area: f64 =
            (-20_000..20_000).map(|i| log_density(f64::from(i) * 2e-3, shift, log_scale).exp() * 2e-3).sum();
        near(&format!("the area {flow}"), area, 1.0, 1e-3)?;
        // u is 0 at x = shift, and 1 at x = shift + e^log_scale.
        let middle = log_density(shift, shift, log_scale);
        near(&format!("ln p at x = shift {flow}"), middle, -0.5 * std::f64::consts::TAU.ln() - log_scale, 1e-9)?;
        let fall = middle - log_density(shift + log_scale.exp(), shift, log_scale);
        near(&format!("the fall of ln p from u = 0 to u = 1 {flow}"), fall, 0.5, 1e-9)?;
    }
    Ok(())
}
