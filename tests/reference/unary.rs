//! A table of functions of one element: the formula, and the range of numbers for its tests.

/// A function of one element and up to two parameters.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The formula.
    pub f: fn(f64, [f64; 2]) -> f64,
    /// The parameters for the tests.
    pub parameters: [f32; 2],
    /// A range in which the function is defined and not constant.
    pub range: [f32; 2],
}

/// The row of a function by name.
///
/// # Panics
/// If there is none. Every function of `tensor` needs a row.
#[track_caller]
pub fn row(name: &str) -> Row {
    let wide = [-4.0, 4.0];
    let row = |f, range| Row { f, parameters: [0.0; 2], range };
    match name {
        "relu" => row(|x, _| x.max(0.0), wide),
        "leaky_relu" => Row { parameters: [0.2, 0.0], ..row(|x, [slope, _]| x.max(slope * x), wide) },
        "sigmoid" => row(|x, _| 1.0 / (1.0 + (-x).exp()), [-12.0, 12.0]),
        "tanh" => row(|x, _| x.tanh(), wide),
        "exp" => row(|x, _| x.exp(), wide),
        "log" => row(|x, _| x.ln(), [0.1, 5.0]),
        "sqrt" => row(|x, _| x.sqrt(), [0.1, 5.0]),
        "abs" => row(|x, _| x.abs(), wide),
        "square" => row(|x, _| x * x, wide),
        "softplus" => row(|x, _| x.max(0.0) + (-x.abs()).exp().ln_1p(), [-12.0, 12.0]),
        "clamp" => Row { parameters: [-1.5, 2.25], ..row(|x, [low, high]| x.max(low).min(high), wide) },
        "add_scalar" => Row { parameters: [1.75, 0.0], ..row(|x, [c, _]| x + c, wide) },
        "mul_scalar" => Row { parameters: [-2.5, 0.0], ..row(|x, [c, _]| c * x, wide) },
        "div_scalar" => Row { parameters: [-2.5, 0.0], ..row(|x, [c, _]| x / c, wide) },
        "pow" => Row { parameters: [1.75, 0.0], ..row(|x, [e, _]| x.powf(e), [0.1, 5.0]) },
        "sin" => row(|x, _| x.sin(), [-3.0, 3.0]),
        "cos" => row(|x, _| x.cos(), [-1.5, 1.5]),
        "round" => row(|x, _| x.round_ties_even(), wide),
        "silu" => row(|x, _| x / (1.0 + (-x).exp()), wide),
        "gelu" => row(|x, _| x * normal_cdf(x), [-3.0, 4.0]),
        "gelu_tanh" => row(|x, _| x / (1.0 + (-1.595_769_121_605_731 * (x + 0.044715 * x * x * x)).exp()), [-2.0, 4.0]),
        _ => panic!("{name} has no line in tests/reference/unary.rs"),
    }
}

/// Φ(x) = ½ + φ(x)·(x + x³/3 + x⁵/15 + …), a series that converges for every x. Its terms have one sign, so nothing cancels but Φ
/// itself far below 0.
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum
}
