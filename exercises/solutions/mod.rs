//! The solutions. Each file opens with the hint. Try the task first.

pub mod c01_brightness;
pub mod c01_centre;
pub mod c01_shapes;
pub mod c02_rules;
pub mod c02_slope;
pub mod c02_twice;
pub mod c03_difference;
pub mod c03_own_rule;
pub mod c03_step_size;
pub mod c04_adam;
pub mod c04_descent;
pub mod c04_linear;
pub mod c05_convolve;
pub mod c05_size;
pub mod c05_transpose;
pub mod c06_parameters;
pub mod c06_r2;
pub mod c06_sum;
pub mod c07_bayes;
pub mod c07_density;
pub mod c07_expectation;
pub mod c07_kl;
pub mod c08_bound;
pub mod c08_draw;
pub mod c08_logvar;
pub mod c08_sign;
