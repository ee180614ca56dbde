//! Measures of images with pixels in [0, 1]: similarity of two images, and sharpness of one.

pub mod laplacian;
pub mod similarity;
