//! Distances between two sets of images, computed from the features `[images, features]` that an extractor gives each
//! image.
//!
//! ```text
//! Fréchet distance   |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½),  Σ divided by n − 1     (Heusel et al. 2017, of fitted Gaussians)
//! KID                mean of k(x, x') + mean of k(y, y') − 2·mean of k(x, y),  k(x, y) = (x·y/d + 1)³,  x ≠ x', y ≠ y'
//!                                                                                   (Bińkowski et al. 2018, unbiased)
//! ```
//!
//! KID is the kernel inception distance. The Fréchet distance needs no matrix square root: with Σ₁ = AᵀA and Σ₂ = BᵀB,
//! Σ₁Σ₂ has the same eigenvalues λ ≥ 0 as the symmetric matrix (ABᵀ)ᵀ(ABᵀ), so that tr (Σ₁Σ₂)^½ = Σ √λ. A is the matrix
//! of centred features divided by √(n − 1). If there are more images than features, A is instead the transposed
//! Cholesky factor of Σ. The distance of equal sets is 0 up to rounding; a negative result is clamped to 0.

use tensor::Tensor;

use super::matrix::Matrix;

/// The number of images whose kernels with all other images are computed at once.
const BLOCK: usize = 256;

/// The features of images: a row of `width` numbers for each image.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// The number of features of an image.
    pub width: usize,
    /// The features of the first image, then those of the second, and so on.
    pub numbers: Vec<f32>,
}

impl Features {
    /// Returns the number of images.
    pub fn images(&self) -> usize {
        self.numbers.len() / self.width
    }

    /// Returns the features as a matrix `[images, width]`.
    pub(super) fn matrix(&self) -> Matrix {
        Matrix { columns: self.width, numbers: self.numbers.iter().map(|&x| f64::from(x)).collect() }
    }

    fn is_finite(&self) -> bool {
        self.numbers.iter().all(|x| x.is_finite())
    }
}

/// Returns the Fréchet distance between the Gaussians that are fitted to the features of two sets,
/// |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½) (Heusel et al., 1706.08500). The result is NaN if a feature is not finite, or
/// if a set has fewer than two images.
pub fn frechet_distance(a: &Features, b: &Features) -> f64 {
    if !(a.is_finite() && b.is_finite()) || a.images().min(b.images()) < 2 {
        return f64::NAN;
    }
    let (Some((mean_a, root_a)), Some((mean_b, root_b))) = (gaussian(a), gaussian(b)) else { return f64::NAN };
    let between = root_a.matmul_nt(&root_b);
    // XᵀX and XXᵀ have the same eigenvalues, apart from zeros. The smaller one is used.
    let smaller = [between.transpose(), between].into_iter().min_by_key(Matrix::rows).expect("two matrices");
    let eigenvalues = smaller.matmul_nt(&smaller).symmetric_eigenvalues();
    let overlap: f64 = eigenvalues.iter().map(|lambda| lambda.max(0.0).sqrt()).sum();
    let apart: f64 = mean_a.iter().zip(&mean_b).map(|(a, b)| (a - b).powi(2)).sum();
    (apart + root_a.norm_squared() + root_b.norm_squared() - 2.0 * overlap).max(0.0)
}

/// Returns the mean of each feature, and the matrix A with AᵀA = Σ. Returns `None` if Σ is not finite.
fn gaussian(features: &Features) -> Option<(Vec<f64>, Matrix)> {
    let x = features.matrix();
    let (images, width) = (x.rows(), x.columns);
    let mut mean = vec![0.0; width];
    for row in x.numbers.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / images as f64);
    }
    let scale = 1.0 / (images as f64 - 1.0).sqrt();
    let centred = Matrix::from_fn(images, width, |i, j| (x.row(i)[j] - mean[j]) * scale);
    if images <= width {
        return Some((mean, centred));
    }
    let columns = centred.transpose();
    Some((mean, columns.matmul_nt(&columns).cholesky()?.transpose()))
}

/// Returns the kernel inception distance (Bińkowski et al. 2018). It is close to 0 for two sets from one distribution,
/// and can be slightly negative. The result is NaN if a set has fewer than two images. The products are computed in
/// f32, the type of the features, and the kernels are summed in f64.
pub fn kernel_distance(a: &Features, b: &Features) -> f64 {
    if a.images().min(b.images()) < 2 {
        return f64::NAN;
    }
    let width = a.width;
    let kernel = |product: f32| (f64::from(product) / width as f64 + 1.0).powi(3);
    let tensor = |rows: &[f32]| Tensor::new(rows, [rows.len() / width, width]);
    // One block of rows at a time, because the products of all pairs of many images would not fit into memory.
    let sum = |x: &Features, y: &Features| {
        let y = tensor(&y.numbers);
        let products = x.numbers.chunks(BLOCK * width).map(|rows| tensor(rows).matmul_nt(&y));
        products.map(|products| products.data().iter().map(|&product| kernel(product)).sum::<f64>()).sum::<f64>()
    };
    let within = |x: &Features| {
        let itself: f64 = x.numbers.chunks_exact(width).map(|row| kernel(row.iter().map(|x| x * x).sum())).sum();
        let n = x.images() as f64;
        (sum(x, x) - itself) / (n * (n - 1.0))
    };
    within(a) + within(b) - 2.0 * sum(a, b) / (a.images() * b.images()) as f64
}

#[cfg(test)]
mod tests {
    use tensor::Generator;

    use super::*;

    fn draws(seed: u64, images: usize, width: usize) -> Features {
        Features { width, numbers: Generator::new(seed).normal_tensor([images, width]).data().to_vec() }
    }

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6 * b.abs().max(1.0), "{a} is not {b}");
    }

    /// For a shift, the distance is its squared length. For a scale s, it is (s − 1)²·(|μ|² + tr Σ). Both are tested
    /// with more images than features and with fewer.
    #[test]
    fn distances_of_shifted_and_scaled_sets() {
        for (images, width) in [(40, 6), (6, 40)] {
            let a = draws(1, images, width);
            let with = |f: &dyn Fn(f32) -> f32| Features { width, numbers: a.numbers.iter().map(|&x| f(x)).collect() };
            assert!(frechet_distance(&a, &a) < 1e-6);
            near(frechet_distance(&a, &with(&|x| x + 2.0)), 4.0 * width as f64);
            let x = a.matrix();
            let column = |j: usize| (0..images).map(|i| x.row(i)[j]).collect::<Vec<f64>>();
            let mean: Vec<f64> = (0..width).map(|j| column(j).iter().sum::<f64>() / images as f64).collect();
            let trace: f64 = (0..width)
                .map(|j| column(j).iter().map(|x| (x - mean[j]).powi(2)).sum::<f64>() / (images as f64 - 1.0))
                .sum();
            let norm: f64 = mean.iter().map(|m| m * m).sum();
            near(frechet_distance(&a, &with(&|x| 3.0 * x)), 4.0 * (norm + trace));
        }
    }

    /// A matrix A has as few rows as possible. Without more images than features it is the centred features themselves.
    #[test]
    fn only_more_images_than_features_are_decomposed() {
        for (images, width, rows) in [(3, 5, 3), (4, 4, 4), (6, 4, 4)] {
            let (_, root) = gaussian(&draws(1, images, width)).unwrap();
            let is_triangular = (0..root.rows()).all(|i| root.row(i)[..i].iter().all(|x| *x == 0.0));
            assert_eq!((root.rows(), is_triangular), (rows, images > width), "{images} images");
        }
    }

    #[test]
    fn the_distance_is_symmetric_and_nan_if_not_finite() {
        let (a, b) = (draws(1, 30, 8), draws(2, 5, 8));
        near(frechet_distance(&a, &b), frechet_distance(&b, &a));
        let mut odd = a.clone();
        odd.numbers[3] = f32::NAN;
        assert!(frechet_distance(&odd, &b).is_nan() && frechet_distance(&a, &draws(3, 1, 8)).is_nan());
        let mut few = b.clone();
        few.numbers[3] = f32::INFINITY;
        assert!(frechet_distance(&few, &b).is_nan() && frechet_distance(&b, &few).is_nan());
        assert!(frechet_distance(&draws(1, 2, 8), &draws(2, 2, 8)) > 0.0, "two images are enough");
    }

    /// One feature and the sets {0, 1} and {1, 2}: k = (xy + 1)³ is 1 within the first set, 27 within the second, and
    /// 1, 1, 8, 27 between them.
    #[test]
    fn kernel_distances() {
        let set = |numbers: &[f32]| Features { width: 1, numbers: numbers.to_vec() };
        near(kernel_distance(&set(&[0.0, 1.0]), &set(&[1.0, 2.0])), 1.0 + 27.0 - 2.0 * 37.0 / 4.0);
        let (a, b) = (draws(1, 400, 4), draws(2, 400, 4));
        assert!(kernel_distance(&a, &b).abs() < 0.05, "{}", kernel_distance(&a, &b));
        let moved = Features { width: 4, numbers: b.numbers.iter().map(|x| x + 1.0).collect() };
        assert!(kernel_distance(&a, &moved) > 1.0);
        assert!(kernel_distance(&set(&[1.0]), &set(&[1.0, 2.0])).is_nan());
    }
}
