// Sine, cosine, powers, rounding and the normal distribution, as in tensor/src/cpu/special.rs. It needs lib/math.wgsl. The polynomials
// are those of Cephes (sinf, erff, erfcf).

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

/// Φ(x) = ½·erfc(−x/√2).
fn normal_cdf(x: vec4<f32>) -> vec4<f32> {
    let u = abs(x) * 0.707106781;
    let z = 0.5 * x * x;
    var p = vec4(7.853861353153693e-5);
    p = p * z - 8.010193625184903e-4;
    p = p * z + 5.188327685732524e-3;
    p = p * z - 2.685381193529856e-2;
    p = p * z + 1.128358514861418e-1;
    p = p * z - 3.761262582423300e-1;
    p = p * z + 1.128379165726710;
    let near = 1.0 - u * p;
    let q = 1.0 / max(u, vec4(0.5)); // only used from 1 on
    let y = q * q;
    p = vec4(2.326819970068386e-2);
    p = p * y - 1.387039388740657e-1;
    p = p * y + 3.687424674597105e-1;
    p = p * y - 5.824733027278666e-1;
    p = p * y + 6.210004621745983e-1;
    p = p * y - 4.944515323274145e-1;
    p = p * y + 3.404879937665872e-1;
    p = p * y - 2.741127028184656e-1;
    p = p * y + 5.638259427386472e-1;
    var far = vec4(-10.47766399936249);
    far = far * y + 12.97719955372516;
    far = far * y - 7.495518717768503;
    far = far * y + 2.921019019210786;
    far = far * y - 1.015265279202700;
    far = far * y + 4.218463358204948e-1;
    far = far * y - 2.820767439740514e-1;
    far = far * y + 5.641895067754075e-1;
    let beyond = exp_(-z) * q * select(far, p, u < vec4(2.0));
    let above = 0.5 * select(beyond, near, u < vec4(1.0));
    return keep_nan(x, select(1.0 - above, above, x < vec4(0.0)));
}
