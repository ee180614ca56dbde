// Sine, cosine, powers, rounding and the normal distribution, as in tensor/src/cpu/special.rs. It needs lib/math.wgsl. The polynomials
// of the sine are those of Cephes (sinf).

/// sin(x + quarters·π/2): n = round(2x/π), r = x − n·π/2. π/2 is subtracted in three parts, the first two exact in few bits.
fn sine(x: vec4<f32>, quarters: u32) -> vec4<f32> {
    let n = floor(x * 0.636619772 + 0.5);
    let r = ((x - n * 1.5703125) - n * 4.83751297e-4) - n * 7.54978995e-8;
    let z = r * r;
    var p = vec4(-1.9515295891e-4);
    p = p * z + 8.3321608736e-3;
    p = p * z - 1.6666654611e-1;
    let odd = p * z * r + r;
    p = vec4(2.443315711809948e-5);
    p = p * z - 1.388731625493765e-3;
    p = p * z + 4.166664568298827e-2;
    let even = p * z * z - 0.5 * z + 1.0;
    let quadrant = bitcast<vec4<u32>>(vec4<i32>(n)) + quarters;
    let y = select(even, odd, (quadrant & vec4(1u)) == vec4(0u));
    // x − x is NaN for an infinity.
    return keep_nan(x - x, select(-y, y, (quadrant & vec4(2u)) == vec4(0u)));
}

/// The nearest whole number, the even one of two.
fn round_(x: vec4<f32>) -> vec4<f32> {
    return keep_nan(x, round(x));
}

/// xᵉ = exp(e·ln |x|), with the sign of a whole power.
fn pow_(x: vec4<f32>, e: f32) -> vec4<f32> {
    if e == 0.0 {
        return vec4(1.0);
    }
    let size = exp_(e * log_(abs(x)));
    var below = log_(x); // NaN below 0
    if floor(e) == e {
        below = select(-size, size, floor(0.5 * e) == 0.5 * e);
    }
    return select(size, below, x < vec4(0.0));
}

/// e^(−x²/2)/√(2π).
fn normal_density(x: vec4<f32>) -> vec4<f32> {
    return 0.398942280 * exp_(-0.5 * x * x);
}

/// Φ(x) = e^(−x²/2)·s·P(s) for x < 0, s = 1/(1 + 0.32·|x|), and 1 − Φ(−x) beyond.
fn normal_cdf(x: vec4<f32>) -> vec4<f32> {
    let s = 1.0 / (1.0 + 0.32 * abs(x));
    var p = vec4(-2.1078287e-2);
    p = p * s + 9.54078e-2;
    p = p * s - 1.4670847e-1;
    p = p * s + 6.532906e-2;
    p = p * s - 9.378186e-3;
    p = p * s + 5.8654178e-2;
    p = p * s + 8.782906e-2;
    p = p * s + 1.1462236e-1;
    p = p * s + 1.2766095e-1;
    p = p * s + 1.2766153e-1;
    let above = exp_(-0.5 * x * x) * (p * s);
    return keep_nan(x, select(1.0 - above, above, x < vec4(0.0)));
}
