//! Whether a run has converged, from the validation losses of its epochs.
//!
//! ```text
//! mᵢ = min(L₁, …, Lᵢ)      r = (mₙ₋ₖ − mₙ) / (k·|mₙ|)      k = min(3, n − 1)
//! ```
//!
//! r is the share by which the lowest loss still falls in an epoch, over the last k. Above 1 % the run has not converged. The mean
//! over three epochs keeps a single lucky or unlucky epoch from deciding.

/// The largest fall an epoch of a run that has converged.
pub const STILL: f64 = 0.01;

/// The fall of the lowest validation loss an epoch, as a share of the loss. `None` if fewer than two epochs have a finite loss.
pub fn fall(losses: &[f64]) -> Option<f64> {
    let finite: Vec<f64> = losses.iter().copied().filter(|loss| loss.is_finite()).collect();
    let lowest = |upto: usize| finite[..upto].iter().copied().fold(f64::INFINITY, f64::min);
    let (n, k) = (finite.len(), 3.min(finite.len().checked_sub(1)?));
    if k == 0 {
        return None;
    }
    let last = lowest(n);
    Some((lowest(n - k) - last) / (k as f64 * last.abs().max(1e-9)))
}

/// Returns why the run has not converged, or `None` if it has.
pub fn unsettled(losses: &[f64]) -> Option<String> {
    match fall(losses) {
        None => Some("one epoch does not show whether it has converged".into()),
        Some(fall) if fall > STILL => {
            Some(format!("it has not converged: the validation loss still falls by {:.1} % an epoch", 100.0 * fall))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_converged_if_its_lowest_loss_falls_by_at_most_one_percent_an_epoch() {
        assert_eq!(
            unsettled(&[200.0, 110.0, 102.0, 101.0, 100.0]),
            Some("it has not converged: the validation loss still falls by 3.3 % an epoch".into())
        );
        assert_eq!(unsettled(&[200.0, 102.0, 101.0, 100.5, 100.0]), None);
        // The lowest loss counts: a run that gets worse is not one that falls, and one good epoch is spread over three.
        assert_eq!(unsettled(&[100.0, 120.0, 110.0, 105.0]), None);
        assert_eq!(unsettled(&[100.0, 100.0, 100.0, 97.5]), None);
        assert!(unsettled(&[100.0, 100.0, 100.0, 96.5]).is_some());
        // Negative losses fall away from zero.
        assert!(
            unsettled(&[-80.0, -90.0, -95.0, -100.0]).is_some() && unsettled(&[-99.0, -99.5, -99.7, -100.0]).is_none()
        );
        assert!(unsettled(&[100.0]).is_some() && unsettled(&[f64::NAN, 1.0]).is_some() && unsettled(&[]).is_some());
        assert!(unsettled(&[100.0, 90.0]).is_some() && unsettled(&[100.0, 99.5]).is_none());
    }
}
