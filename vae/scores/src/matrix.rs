//! Matrices of f64 for the scores: products, the Cholesky decomposition, and eigenvalues.
//!
//! The order of every sum is fixed, so that the results do not depend on the number of threads. A linear-algebra
//! library would also bring vectors of fixed lengths, complex numbers and SIMD types, which took 4 % of the first
//! build.

use rayon::prelude::*;

/// The number of partial sums in a dot product. The compiler computes them in SIMD lanes.
const LANES: usize = 8;
/// The number of rows that stay in the cache while they are multiplied by each row of the other matrix (`BLOCK`), and
/// the number of rows that share the loads of that row (`TILE`).
const BLOCK: usize = 64;
const TILE: usize = 4;
/// The maximum number of steps for an eigenvalue. Each one takes about two.
const STEPS: usize = 60;

/// A matrix in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    pub(super) columns: usize,
    pub(super) numbers: Vec<f64>,
}

impl Matrix {
    pub(super) fn from_fn(rows: usize, columns: usize, mut f: impl FnMut(usize, usize) -> f64) -> Matrix {
        let numbers = (0..rows * columns).map(|at| f(at / columns, at % columns)).collect();
        Matrix { columns, numbers }
    }

    pub(super) fn rows(&self) -> usize {
        self.numbers.len() / self.columns
    }

    pub(super) fn row(&self, row: usize) -> &[f64] {
        &self.numbers[row * self.columns..][..self.columns]
    }

    pub(super) fn transpose(&self) -> Matrix {
        Matrix::from_fn(self.columns, self.rows(), |i, j| self.row(j)[i])
    }

    /// Returns self·otherᵀ.
    pub(super) fn matmul_nt(&self, other: &Matrix) -> Matrix {
        let columns = other.rows();
        let mut numbers = vec![0.0; self.rows() * columns];
        let of_block = |(block, out): (usize, &mut [f64])| {
            let rows: Vec<&[f64]> = (0..out.len() / columns).map(|i| self.row(block * BLOCK + i)).collect();
            for j in 0..columns {
                let other = other.row(j);
                let (tiles, rest) = rows.as_chunks::<TILE>();
                let of_tiles = tiles.iter().flat_map(|tile| dots(tile, other));
                let of_rest = rest.iter().map(|row| dot(row, other));
                let column = out.iter_mut().skip(j).step_by(columns);
                column.zip(of_tiles.chain(of_rest)).for_each(|(out, product)| *out = product);
            }
        };
        numbers.par_chunks_mut(BLOCK * columns).enumerate().for_each(of_block);
        Matrix { columns, numbers }
    }

    /// Returns the sum of the squares of all numbers, which is the trace of selfᵀ·self.
    pub(super) fn norm_squared(&self) -> f64 {
        dot(&self.numbers, &self.numbers)
    }

    /// Returns the lower triangular matrix L with L·Lᵀ = self, which must be symmetric and have no negative eigenvalue.
    /// If a row of self depends linearly on the rows before it, up to rounding, the corresponding column of L is 0.
    /// Returns `None` if a number is not finite.
    pub(super) fn cholesky(mut self) -> Option<Matrix> {
        let n = self.columns;
        let largest = (0..n).map(|i| self.row(i)[i]).fold(0.0, f64::max);
        for j in 0..n {
            let (above, below) = self.numbers.split_at_mut((j + 1) * n);
            let row = &mut above[j * n..];
            row[j + 1..].fill(0.0);
            let square = row[j] - dot(&row[..j], &row[..j]);
            if !square.is_finite() {
                return None;
            }
            row[j] = if square > largest * n as f64 * f64::EPSILON { square.sqrt() } else { 0.0 };
            let row = &row[..=j];
            let of_row = |other: &mut [f64]| {
                let rest = other[j] - dot(&row[..j], &other[..j]);
                other[j] = if row[j] > 0.0 { rest / row[j] } else { 0.0 };
            };
            below.par_chunks_mut(n).with_min_len(64).for_each(of_row);
        }
        Some(self)
    }

    /// Solves L·Lᵀ·Xᵀ = Yᵀ for X, which has one row for each row of Y. self is L, without zeros on its diagonal.
    pub(super) fn cholesky_solve(&self, y: &Matrix) -> Matrix {
        let n = self.columns;
        let transposed = self.transpose();
        let mut x = y.clone();
        x.numbers.par_chunks_mut(n).for_each(|x| {
            for i in 0..n {
                x[i] = (x[i] - dot(&self.row(i)[..i], &x[..i])) / self.row(i)[i];
            }
            for i in (0..n).rev() {
                x[i] = (x[i] - dot(&transposed.row(i)[i + 1..], &x[i + 1..])) / self.row(i)[i];
            }
        });
        x
    }

    /// Returns the eigenvalues of a symmetric matrix, unsorted. Householder reflections make the matrix tridiagonal,
    /// then rotations make it diagonal (Golub and Van Loan, "Matrix Computations", 8.3).
    pub(super) fn symmetric_eigenvalues(self) -> Vec<f64> {
        let (mut d, mut e) = self.tridiagonal();
        diagonalise(&mut d, &mut e, STEPS);
        d
    }

    /// Returns the diagonal and the off-diagonal of a tridiagonal matrix with the same eigenvalues. It is H·self·H for
    /// the reflections H = I − β·v·vᵀ, one for each column.
    fn tridiagonal(mut self) -> (Vec<f64>, Vec<f64>) {
        let n = self.columns;
        let mut e = vec![0.0; n];
        for k in 0..n.saturating_sub(2) {
            // The reflection maps the column below the diagonal to (e_k, 0, …). The sign avoids cancellation.
            let mut v: Vec<f64> = self.row(k)[k + 1..].to_vec();
            let norm = dot(&v, &v).sqrt();
            e[k] = -norm.copysign(v[0]);
            v[0] -= e[k];
            let square = dot(&v, &v);
            if square == 0.0 {
                continue;
            }
            let beta = 2.0 / square;
            // For the remaining matrix B: H·B·H = B − v·wᵀ − w·vᵀ with w = p − (β/2)(pᵀv)·v and p = β·B·v.
            let rest = &mut self.numbers[(k + 1) * n..];
            let p: Vec<f64> = rest.par_chunks(n).with_min_len(32).map(|row| beta * dot(&row[k + 1..], &v)).collect();
            let half = 0.5 * beta * dot(&p, &v);
            let w: Vec<f64> = p.iter().zip(&v).map(|(p, v)| p - half * v).collect();
            rest.par_chunks_mut(n).with_min_len(32).enumerate().for_each(|(i, row)| {
                for (x, (v_j, w_j)) in row[k + 1..].iter_mut().zip(v.iter().zip(&w)) {
                    *x -= v[i] * w_j + w[i] * v_j;
                }
            });
        }
        if n > 1 {
            e[n - 2] = self.row(n - 1)[n - 2];
        }
        ((0..n).map(|i| self.row(i)[i]).collect(), e)
    }
}

/// Makes a tridiagonal matrix diagonal by QL steps with Wilkinson's shift (EISPACK's `tql1`). `d` is the diagonal.
/// `e[i]` is the off-diagonal element between `d[i]` and `d[i + 1]`, and the last `e` is 0. `steps` is the maximum number of
/// steps for an eigenvalue.
fn diagonalise(d: &mut [f64], e: &mut [f64], steps: usize) {
    for low in 0..d.len() {
        for _ in 0..steps {
            // The block from `low` to the first off-diagonal element that is 0 up to rounding.
            let small = |i: usize| e[i].abs() <= f64::EPSILON * d[i].abs().max(d[i + 1].abs());
            let high = (low..d.len() - 1).find(|&i| small(i)).unwrap_or(d.len() - 1);
            if high == low {
                break;
            }
            let slope = (d[low + 1] - d[low]) / (2.0 * e[low]);
            let root = slope.hypot(1.0).copysign(slope);
            let mut g = d[high] - d[low] + e[low] / (slope + root);
            let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
            let mut complete = true;
            for i in (low..high).rev() {
                let (f, b) = (sine * e[i], cosine * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    // The matrix splits into two blocks here.
                    d[i + 1] -= shift;
                    e[high] = 0.0;
                    complete = false;
                    break;
                }
                (sine, cosine) = (f / r, g / r);
                g = d[i + 1] - shift;
                let r = (d[i] - g) * sine + 2.0 * cosine * b;
                shift = sine * r;
                d[i + 1] = g + shift;
                g = cosine * r - b;
            }
            if complete {
                d[low] -= shift;
                e[low] = g;
                e[high] = 0.0;
            }
        }
    }
}

/// Returns the dot product of two vectors.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let [product] = dots(&[a], b);
    product
}

/// Returns the dot products of several rows with one other row, which is loaded once for all of them.
fn dots<const ROWS: usize>(rows: &[&[f64]; ROWS], other: &[f64]) -> [f64; ROWS] {
    let (other, other_rest) = other.as_chunks::<LANES>();
    let rows = rows.map(|row| row.as_chunks::<LANES>());
    let mut lanes = [[0.0; LANES]; ROWS];
    for (k, other) in other.iter().enumerate() {
        for (lanes, (row, _)) in lanes.iter_mut().zip(&rows) {
            for lane in 0..LANES {
                lanes[lane] += row[k][lane] * other[lane];
            }
        }
    }
    let mut products = [0.0; ROWS];
    for (product, (lanes, (_, rest))) in products.iter_mut().zip(lanes.iter().zip(&rows)) {
        let rest: f64 = rest.iter().zip(other_rest).map(|(a, b)| a * b).sum();
        *product = lanes.iter().sum::<f64>() + rest;
    }
    products
}

#[cfg(test)]
mod tests {
    use tensor::Generator;

    use super::*;

    fn draws(seed: u64, rows: usize, columns: usize) -> Matrix {
        let draws = Generator::new(seed).normal_tensor([rows, columns]);
        Matrix { columns, numbers: draws.data().iter().map(|&x| f64::from(x)).collect() }
    }

    fn near(a: &[f64], b: &[f64], by: f64) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= by), "{a:?}, expected {b:?}");
    }

    #[test]
    fn a_product_is_the_matrix_of_dot_products() {
        let (a, b) = (draws(1, 35, 19), draws(2, 18, 19));
        let product = a.matmul_nt(&b);
        let sum = |i: usize, j: usize| a.row(i).iter().zip(b.row(j)).map(|(a, b)| a * b).sum::<f64>();
        near(&product.numbers, &Matrix::from_fn(35, 18, sum).numbers, 1e-12);
        near(&b.matmul_nt(&a).transpose().numbers, &product.numbers, 1e-12);
        // More rows than a block, with a part of a block and a part of a tile at the end.
        let (a, b) = (draws(6, 2 * BLOCK + TILE + 1, 9), draws(7, 3, 9));
        let sum = |i: usize, j: usize| a.row(i).iter().zip(b.row(j)).map(|(a, b)| a * b).sum::<f64>();
        near(&a.matmul_nt(&b).numbers, &Matrix::from_fn(a.rows(), 3, sum).numbers, 1e-12);
    }

    #[test]
    fn cholesky_factors_give_back_the_matrix_and_solve_with_it() {
        let a = draws(3, 30, 20).transpose();
        let square = a.matmul_nt(&a);
        let l = square.clone().cholesky().unwrap();
        assert!((0..20).all(|i| l.row(i)[i + 1..].iter().all(|x| *x == 0.0)));
        near(&l.matmul_nt(&l).numbers, &square.numbers, 1e-11);
        let x = draws(4, 3, 20);
        near(&l.cholesky_solve(&x.matmul_nt(&square)).numbers, &x.numbers, 1e-9);
        // Matrices of rank 5. Rounding leaves a little where the larger one would be 0.
        for n in [20, 200] {
            let a = draws(5, n, 5);
            let square = a.matmul_nt(&a);
            let l = square.clone().cholesky().unwrap();
            near(&l.matmul_nt(&l).numbers, &square.numbers, 1e-11);
            assert!((5..n).all(|i| l.row(i)[i] == 0.0), "columns that depend on others are 0");
        }
        assert_eq!(Matrix { columns: 1, numbers: vec![f64::NAN] }.cholesky(), None);
        let limit = 2.0 * f64::EPSILON; // of two rows, the larger with a square of 1
        let last =
            |square: f64| Matrix { columns: 2, numbers: vec![1.0, 0.0, 0.0, square] }.cholesky().unwrap().row(1)[1];
        assert_eq!([last(limit), last(limit.next_up())], [0.0, limit.next_up().sqrt()]);
    }

    /// A product of the smallest numbers is 0, which splits the matrix. The eigenvalues still add up to the trace.
    #[test]
    fn the_smallest_numbers_have_eigenvalues() {
        let least = f64::from_bits(1);
        let (mut d, mut e) = ([4.0, 0.0, 3.0].map(|x| x * least), [3.0, 1.0, 0.0].map(|x| x * least));
        diagonalise(&mut d, &mut e, STEPS);
        assert_eq!(d.iter().sum::<f64>(), 7.0 * least, "{d:?}");
    }

    /// The eigenvalues of Clement's matrix are −(n − 1), −(n − 3), …, n − 1. A diagonal matrix keeps its eigenvalues,
    /// also equal ones, after reflections on both sides.
    #[test]
    fn known_eigenvalues_are_found() {
        let sorted = |matrix: Matrix| {
            let mut values = matrix.symmetric_eigenvalues();
            values.sort_by(f64::total_cmp);
            values
        };
        let n = 50;
        let beside = |i: usize| (((i + 1) * (n - 1 - i)) as f64).sqrt();
        let clement = Matrix::from_fn(n, n, |i, j| if i.abs_diff(j) == 1 { beside(i.min(j)) } else { 0.0 });
        let known: Vec<f64> = (0..n).map(|i| 2.0 * i as f64 - (n - 1) as f64).collect();
        for diagonal in [0.0, 100.0] {
            let (mut d, mut e) = (vec![diagonal; n], (0..n).map(beside).collect::<Vec<_>>());
            diagonalise(&mut d, &mut e, 5);
            d.sort_by(f64::total_cmp);
            let known: Vec<f64> = known.iter().map(|value| value + diagonal).collect();
            near(&d, &known, 1e-11); // Wilkinson's shift converges in so few steps
        }
        near(&sorted(clement), &known, 1e-11);

        let mut values: Vec<f64> = (0..40).map(|i| f64::from(i / 2) - 7.0).collect();
        let mut reflected = Matrix::from_fn(40, 40, |i, j| if i == j { values[i] } else { 0.0 });
        for reflection in 0..5 {
            let v = draws(10 + reflection, 1, 40);
            let scale = 2.0 / v.norm_squared();
            let h = Matrix::from_fn(40, 40, |i, j| f64::from(i == j) - scale * v.numbers[i] * v.numbers[j]);
            reflected = h.matmul_nt(&reflected).matmul_nt(&h);
        }
        values.sort_by(f64::total_cmp);
        near(&sorted(reflected), &values, 1e-12);

        // A small element beside a large one: with the other sign of the reflection it would be lost.
        let small = Matrix { columns: 3, numbers: vec![0.0, 1.0, 1e-9, 1.0, 0.0, 1.0, 1e-9, 1.0, 0.0] };
        let middle = sorted(small)[1];
        assert!((middle + 1e-9).abs() < 1e-13, "{middle}");

        assert_eq!(sorted(Matrix { columns: 1, numbers: vec![3.0] }), [3.0]);
        assert_eq!(sorted(Matrix { columns: 3, numbers: vec![0.0; 9] }), [0.0; 3]);
        near(&sorted(Matrix { columns: 2, numbers: vec![2.0, 1.0, 1.0, 2.0] }), &[1.0, 3.0], 1e-15);
    }
}
