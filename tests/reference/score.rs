//! Image scores in f64, for comparison with PyTorch's numbers.

use crate::{Array, at, build};

/// The Fréchet distance between Gaussians fitted to the rows of `a` and `b`: |μa − μb|² + tr(A + B − 2(AB)^½).
pub fn frechet(a: &Array, b: &Array) -> f64 {
    let ((mean_a, cov_a), (mean_b, cov_b)) = (gaussian(a), gaussian(b));
    let apart: f64 = mean_a.iter().zip(&mean_b).map(|(a, b)| (a - b).powi(2)).sum();
    // AB and A^½·B·A^½ have the same eigenvalues, and the latter is symmetric: tr (AB)^½ = Σ √λ.
    let root = of_symmetric(&cov_a, |lambda| lambda.max(0.0).sqrt());
    let between = product(&product(&root, &cov_b), &root);
    let (lambdas, _) = eigen(&between);
    let trace = |m: &Array| (0..mean_a.len()).map(|i| at(m, [i, i])).sum::<f64>();
    apart + trace(&cov_a) + trace(&cov_b) - 2.0 * lambdas.iter().map(|l| l.max(0.0).sqrt()).sum::<f64>()
}

/// The population variance of the Laplacian (0 1 0 / 1 −4 1 / 0 1 0) of an image [1, 1, height, width], which is mirrored at
/// its outermost pixels.
pub fn laplacian_variance(x: &Array) -> f64 {
    let [_, _, height, width] = x.shape.nchw("image");
    let mirrored = |i: isize, size: usize| {
        let last = size as isize - 1;
        (if i < 0 {
            -i
        } else if i > last {
            2 * last - i
        } else {
            i
        }) as usize
    };
    let y = build([height, width], |[i, j]| {
        let pixel =
            |di: isize, dj: isize| at(x, [0, 0, mirrored(i as isize + di, height), mirrored(j as isize + dj, width)]);
        pixel(-1, 0) + pixel(1, 0) + pixel(0, -1) + pixel(0, 1) - 4.0 * pixel(0, 0)
    });
    let count = y.data.len() as f64;
    let mean = y.data.iter().sum::<f64>() / count;
    y.data.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / count
}

/// The mean and the covariance (divided by the count less one) of rows.
fn gaussian(x: &Array) -> (Vec<f64>, Array) {
    let [rows, columns] = x.shape.matrix("features");
    let mean: Vec<f64> = (0..columns).map(|j| (0..rows).map(|i| at(x, [i, j])).sum::<f64>() / rows as f64).collect();
    let cov = build([columns, columns], |[j, k]| {
        let products = (0..rows).map(|i| (at(x, [i, j]) - mean[j]) * (at(x, [i, k]) - mean[k]));
        products.sum::<f64>() / (rows as f64 - 1.0)
    });
    (mean, cov)
}

fn product(a: &Array, b: &Array) -> Array {
    crate::matmul::nn(a, b)
}

/// V·diag(f(λ))·Vᵀ.
fn of_symmetric(m: &Array, f: impl Fn(f64) -> f64) -> Array {
    let (lambdas, vectors) = eigen(m);
    build(m.shape.matrix("m"), |[i, j]| {
        (0..lambdas.len()).map(|k| at(&vectors, [i, k]) * f(lambdas[k]) * at(&vectors, [j, k])).sum()
    })
}

/// Eigenvalues and eigenvectors (in columns) of a symmetric matrix, by Jacobi's rotations. Each makes one pair of off-diagonal
/// elements zero. Sweeps over all pairs are repeated until none is left.
fn eigen(m: &Array) -> (Vec<f64>, Array) {
    let [n, _] = m.shape.matrix("m");
    let mut a = build([n, n], |[i, j]| (at(m, [i, j]) + at(m, [j, i])) / 2.0);
    let mut v = build([n, n], |[i, j]| f64::from(i == j));
    let size = a.data.iter().map(|x| x * x).sum::<f64>().sqrt();
    for _ in 0..100 {
        let off: f64 = (0..n * n).filter(|p| p / n != p % n).map(|p| a.data[p].powi(2)).sum();
        if off.sqrt() <= 1e-15 * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a.data[p * n + q] == 0.0 {
                    continue;
                }
                let theta = (a.data[q * n + q] - a.data[p * n + p]) / (2.0 * a.data[p * n + q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a.data[k * n + p], a.data[k * n + q]);
                    (a.data[k * n + p], a.data[k * n + q]) = (c * x - s * y, s * x + c * y);
                }
                for k in 0..n {
                    let (x, y) = (a.data[p * n + k], a.data[q * n + k]);
                    (a.data[p * n + k], a.data[q * n + k]) = (c * x - s * y, s * x + c * y);
                    let (x, y) = (v.data[k * n + p], v.data[k * n + q]);
                    (v.data[k * n + p], v.data[k * n + q]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    ((0..n).map(|i| at(&a, [i, i])).collect(), v)
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn eigenvectors_and_eigenvalues_give_the_matrix() {
        let m = build([5, 5], |[i, j]| ((i * j + i + j) as f64 * 0.7).sin());
        let again = of_symmetric(&m, |lambda| lambda);
        m.data.iter().zip(&again.data).for_each(|(a, b)| assert_relative_eq!(a, b, epsilon = 1e-13));
    }

    #[test]
    fn known_laplacians() {
        let constant = build([1, 1, 8, 8], |_| 42.0);
        let board = build([1, 1, 32, 32], |[_, _, i, j]| ((i + j) % 2 * 255) as f64);
        let step = build([1, 1, 32, 32], |[_, _, _, j]| if j < 16 { 0.0 } else { 255.0 });
        assert_relative_eq!(laplacian_variance(&constant), 0.0);
        assert_relative_eq!(laplacian_variance(&board), 1_040_400.0);
        assert_relative_eq!(laplacian_variance(&step), 4064.0625);
    }

    #[test]
    fn frechet_distances_known_without_a_square_root() {
        let a = build([50, 3], |[i, j]| ((i * 7 + j * 3) as f64).sin());
        let moved = build([50, 3], |[i, j]| at(&a, [i, j]) + 2.0);
        let twice = build([50, 3], |[i, j]| at(&a, [i, j]) * 2.0);
        let (_, cov) = gaussian(&a);
        let (mean, _) = gaussian(&a);
        let trace: f64 = (0..3).map(|i| at(&cov, [i, i])).sum();
        let square: f64 = mean.iter().map(|m| m * m).sum();
        assert_relative_eq!(frechet(&a, &a), 0.0, epsilon = 1e-7); // the square root of rounding errors
        assert_relative_eq!(frechet(&a, &moved), 12.0, epsilon = 1e-7);
        assert_relative_eq!(frechet(&a, &twice), square + trace, epsilon = 1e-7);
    }
}
