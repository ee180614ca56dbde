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
