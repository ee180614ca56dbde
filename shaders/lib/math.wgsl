// Exponential, logarithm and hyperbolic tangent, accurate to about one unit in the last place of f32 on every driver. WGSL's own
// functions may be off by 3 + 2·|x| units. The algorithms are those of Cephes (expf, logf, tanhf): a polynomial on a short interval,
// after the argument is reduced by powers of two.

/// eˣ = 2ⁿ·eʳ with n = ⌊x/ln 2 + ½⌋ and |r| ≤ ½ ln 2. It gives 0 or infinity where the result is out of range.
fn exp_(x: vec4<f32>) -> vec4<f32> {
    let bounded = clamp(x, vec4(-104.0), vec4(89.0));
    let n = floor(bounded * 1.44269504 + 0.5);
    let r = (bounded - n * 0.693359375) + n * 2.12194440e-4; // ln 2 in two parts, the first exact in few bits
    var p = vec4(1.9875691500e-4);
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    let e = p * r * r + r + 1.0;
    // 2ⁿ in two factors, since n may be −150, below the smallest exponent, or 128, above the largest.
    let whole = vec4<i32>(n);
    let half = whole / 2;
    return keep_nan(x, e * power_of_two(half) * power_of_two(whole - half));
}

/// `y`, or x where x is NaN. A clamp may replace a NaN, which would then go unnoticed.
fn keep_nan(x: vec4<f32>, y: vec4<f32>) -> vec4<f32> {
    return select(y, x, (bitcast<vec4<u32>>(x) & vec4(0x7fffffffu)) > vec4(0x7f800000u));
}

fn power_of_two(n: vec4<i32>) -> vec4<f32> {
    return bitcast<vec4<f32>>((n + 127) << vec4(23u));
}

/// ln((1 + x)·2ⁿ) for x from √½ − 1 to √2 − 1.
fn log_near_one(x: vec4<f32>, n: vec4<f32>) -> vec4<f32> {
    let z = x * x;
    var p = vec4(7.0376836292e-2);
    p = p * x - 1.1514610310e-1;
    p = p * x + 1.1676998740e-1;
    p = p * x - 1.2420140846e-1;
    p = p * x + 1.4249322787e-1;
    p = p * x - 1.6668057665e-1;
    p = p * x + 2.0000714765e-1;
    p = p * x - 2.4999993993e-1;
    p = p * x + 3.3333331174e-1;
    let y = x * z * p - n * 2.12194440e-4 - 0.5 * z;
    return (x + y) + n * 0.693359375;
}

/// ln x = ln m + n·ln 2, with x = m·2ⁿ and m from √½ to √2. Whatever is not positive and finite is recognised by its bits, because a
/// driver's `log` and its comparisons may give any number there, also for NaN.
fn log_(x: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(x);
    let tiny = bits < vec4(0x00800000u); // denormal: x is bits·2⁻¹⁴⁹
    let scaled = select(bits, bitcast<vec4<u32>>(vec4<f32>(bits)), tiny);
    let exponent = vec4<f32>(vec4<i32>(scaled >> vec4(23u)) - select(vec4(126), vec4(275), tiny));
    let m = bitcast<vec4<f32>>((scaled & vec4(0x007fffffu)) | vec4(0x3f000000u)); // from ½ to 1
    let low = m < vec4(0.70710678);
    let y = log_near_one(select(m, m + m, low) - 1.0, select(exponent, exponent - 1.0, low));
    let below = select(vec4(0x7fc00000u), vec4(0xff800000u), (bits << vec4(1u)) == vec4(0u)); // NaN; −∞ for both zeros
    let kept = ((bits & vec4(0x7fffffffu)) > vec4(0x7f800000u)) | (bits == vec4(0x7f800000u)); // NaN and ∞
    let usual = (bits - vec4(1u)) < vec4(0x7f7fffffu); // positive and finite
    return select(bitcast<vec4<f32>>(select(below, bits, kept)), y, usual);
}

/// ln(1 + x) for x from 0 to 1.
fn log_1p(x: vec4<f32>) -> vec4<f32> {
    let large = x > vec4(0.41421356);
    return log_near_one(select(x, 0.5 * x - 0.5, large), select(vec4(0.0), vec4(1.0), large));
}

/// tanh x: an odd polynomial near 0, 1 − 2/(e²ˣ + 1) beyond.
fn tanh_(x: vec4<f32>) -> vec4<f32> {
    let a = abs(x);
    let z = x * x;
    var p = vec4(-5.70498872745e-3);
    p = p * z + 2.06390887954e-2;
    p = p * z - 5.37397155531e-2;
    p = p * z + 1.33314422036e-1;
    p = p * z - 3.33332819422e-1;
    let near = p * z * x + x;
    let far = sign(x) * (1.0 - 2.0 / (exp_(2.0 * a) + 1.0));
    return select(far, near, a < vec4(0.625));
}

/// 1 / (1 + e⁻ˣ), computed so that the exponential never overflows.
fn logistic(x: vec4<f32>) -> vec4<f32> {
    let e = exp_(-abs(x));
    return select(vec4(1.0), e, x < vec4(0.0)) / (1.0 + e);
}
