//! 12. Winograd's convolution: 16 multiplications where the definition needs 36.
//!
//!     cargo run -p vae --example 12_winograd
//!
//! It computes four outputs (2×2) of a 3×3 kernel from a tile of 4×4 pixels:   Y = Aᵀ·[(G·w·Gᵀ) ⊙ (Bᵀ·d·B)]·A
//!
//! The derivation is in `docs/theory/winograd.md`, the fast implementation in `tensor/src/cpu/winograd.rs`. Next:
//! `13_your_own_data.rs`.

use tensor::{Conv, ConvAlgorithm, Generator, Tensor};

type Matrix = Vec<Vec<f32>>;

fn matrix<const R: usize, const C: usize>(rows: [[f32; C]; R]) -> Matrix {
    rows.iter().map(|row| row.to_vec()).collect()
}

fn times(a: &Matrix, b: &Matrix) -> Matrix {
    let dot = |row: &[f32], j: usize| row.iter().zip(b).map(|(x, line)| x * line[j]).sum();
    a.iter().map(|row| (0..b[0].len()).map(|j| dot(row, j)).collect()).collect()
}

fn transposed(a: &Matrix) -> Matrix {
    (0..a[0].len()).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

/// m·x·mᵀ: transforms the columns, then the rows.
fn both_ways(m: &Matrix, x: &Matrix) -> Matrix {
    times(&times(m, x), &transposed(m))
}

fn main() {
    // The matrices for the interpolation points 0, 1, −1, ∞.
    let b_t = matrix([[-1., 0., 1., 0.], [0., 1., 1., 0.], [0., -1., 1., 0.], [0., -1., 0., 1.]]);
    let g = matrix([[-1., 0., 0.], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0., 0., 1.]]);
    let a_t = matrix([[1., 1., 1., 0.], [0., 1., -1., 1.]]);

    let mut rng = Generator::new(1);
    let (image, kernel) = (rng.normal_tensor([1, 1, 8, 8]), rng.normal_tensor([1, 1, 3, 3]));
    let pixel = |y: usize, x: usize| image.data()[y * 8 + x];
    let w: Matrix = kernel.data().chunks(3).map(<[f32]>::to_vec).collect();
    let w_at_points = both_ways(&g, &w); // the kernel is transformed once for the whole image

    let mut out = vec![0.0; 36];
    let mut multiplications = 0;
    for (ty, tx) in (0..3).flat_map(|ty| (0..3).map(move |tx| (2 * ty, 2 * tx))) {
        let d: Matrix = (0..4).map(|i| (0..4).map(|j| pixel(ty + i, tx + j)).collect()).collect();
        let d_at_points = both_ways(&b_t, &d);
        let product: Matrix =
            w_at_points.iter().zip(&d_at_points).map(|(w, d)| w.iter().zip(d).map(|(w, d)| w * d).collect()).collect();
        multiplications += 16;
        let y = both_ways(&a_t, &product);
        (0..4).for_each(|i| out[(ty + i / 2) * 6 + tx + i % 2] = y[i / 2][i % 2]);
    }

    let conv = Conv { stride: 1, padding: 0 };
    let direct = image.conv2d(&kernel, None, conv);
    let apart = |found: &[f32]| found.iter().zip(direct.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{multiplications} multiplications for 36 outputs; the definition needs {}", 36 * 9);
    println!("largest difference from the library's convolution: {:.1e}", apart(&out));
    assert!(apart(&out) < 1e-5);

    // The library has two tile sizes. They are compared on a larger layer.
    let (x, w) = (rng.normal_tensor([4, 32, 16, 16]), rng.normal_tensor([32, 32, 3, 3]).mul_scalar(0.06));
    let same = Conv { stride: 1, padding: 1 };
    let exact = ConvAlgorithm::Direct.force(|| x.conv2d(&w, None, same));
    for algorithm in [ConvAlgorithm::Winograd2, ConvAlgorithm::Winograd4] {
        let y: Tensor = algorithm.force(|| x.conv2d(&w, None, same));
        let apart = y.data().iter().zip(exact.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{algorithm:?}: largest difference from the direct algorithm {apart:.1e}");
        assert!(apart < 1e-4);
    }
}
