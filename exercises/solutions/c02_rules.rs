//! Hint: If b is held fixed, a·b is a straight line in a with the slope b. Do not forget dy.

pub fn mul_rule(a: f64, b: f64, dy: f64) -> [f64; 2] {
    [dy * b, dy * a]
}

pub fn tanh_rule(y: f64, dy: f64) -> f64 {
    dy * (1.0 - y * y)
}
