//! Hint: ln(1 + eˡ) = l + ln(1 + e⁻ˡ). So for a positive l use the right form, for a negative one the left. Both together:
//! max(l, 0) + ln(1 + e^(−|l|)). `ln_1p` computes ln(1 + x) precisely for a small x.

pub fn bce(logit: f64, x: f64) -> f64 {
    logit.max(0.0) + (-logit.abs()).exp().ln_1p() - x * logit
}
