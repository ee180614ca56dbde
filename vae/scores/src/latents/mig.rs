//! The mutual information gap, MIG (Chen et al. 2018, 1802.04942, eq. 6), a mean over the factors v:
//!
//!   MIG = mean_v [ (I(z_(1); v) − I(z_(2); v)) / H(v) ]
//!
//! where z_(1) and z_(2) are the two latents with the largest mutual information I with v, and H is the entropy. As in
//! disentanglement_lib, the codes mu of a latent are sorted into 20 bins of equal width between their minimum and
//! maximum. I and H are computed from counts, in nats.

use super::lead;

/// The number of bins of a latent.
pub(super) const BINS: usize = 20;

/// Returns the gap of each factor. Each latent and each factor has one number per image. A factor must have at least
/// two values.
pub(super) fn gaps(latents: &[Vec<f64>], factors: &[Vec<usize>]) -> Vec<f64> {
    let binned: Vec<Vec<usize>> = latents.iter().map(|codes| bins(codes)).collect();
    let gap = |values: &Vec<usize>| {
        lead(binned.iter().map(|codes| mutual_information(codes, values))) / mutual_information(values, values)
    };
    factors.iter().map(gap).collect()
}

/// Returns the bin of each code, counted from 0: NumPy's `digitize` with the edges of `histogram` except the last.
fn bins(codes: &[f64]) -> Vec<usize> {
    let [least, most] = codes.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], &x| [a.min(x), b.max(x)]);
    let width = (most - least) / BINS as f64;
    let edges: Vec<f64> = (1..BINS).map(|i| i as f64 * width + least).collect();
    codes.iter().map(|x| edges.partition_point(|edge| edge <= x)).collect()
}

/// Returns the mutual information I(a; b) in nats, computed from the counts of pairs. I(a; a) is the entropy H(a).
fn mutual_information(a: &[usize], b: &[usize]) -> f64 {
    let [rows, columns] = [a, b].map(|x| x.iter().max().map_or(0, |most| most + 1));
    let (mut pairs, mut in_rows, mut in_columns) = (vec![0.0; rows * columns], vec![0.0; rows], vec![0.0; columns]);
    for (&i, &j) in a.iter().zip(b) {
        pairs[i * columns + j] += 1.0;
        in_rows[i] += 1.0;
        in_columns[j] += 1.0;
    }
    let n = a.len() as f64;
    let cells = pairs.iter().enumerate().filter(|(_, count)| **count > 0.0);
    let share =
        cells.map(|(at, count)| count / n * (count * n / (in_rows[at / columns] * in_columns[at % columns])).ln());
    share.sum::<f64>().max(0.0) // rounding can give a number below 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_on_an_edge_is_in_the_upper_bin_and_the_largest_in_the_last() {
        assert_eq!(bins(&[0.0, 0.5, 1.0, 1.5, 19.0, 20.0]), [0, 0, 1, 1, 19, 19]);
        assert!(bins(&[3.0; 4]).iter().all(|&bin| bin < BINS));
    }

    #[test]
    fn information_is_in_nats() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(mutual_information(&[0, 1, 0, 1], &[1, 0, 1, 0]), 2_f64.ln());
        near(mutual_information(&[0, 1, 0, 1], &[0, 0, 1, 1]), 0.0);
        near(mutual_information(&[0, 0, 0, 1], &[0, 0, 0, 1]), -0.75 * 0.75_f64.ln() - 0.25 * 0.25_f64.ln());
    }
}
