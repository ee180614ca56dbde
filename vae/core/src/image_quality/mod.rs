//! Measures of images whose pixels are in [0, 1]: how near one is to another, and how sharp one is.

pub mod laplacian;
pub mod similarity;
