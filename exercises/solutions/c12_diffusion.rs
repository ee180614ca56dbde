//! Hint: `b.iter().map(|b| 1.0 - b).product::<f64>()` is ā.

pub fn jump(b: &[f64]) -> [f64; 2] {
    let kept: f64 = b.iter().map(|b| 1.0 - b).product();
    [kept.sqrt(), (1.0 - kept).sqrt()]
}
