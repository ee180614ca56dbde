//! Learning rates by epoch.

use approx::assert_relative_eq;
use nn::optim::{Plateau, Schedule};

#[test]
fn constant_linear_and_cosine() {
    let rates = |schedule: Schedule, epochs| (0..epochs).map(|e| schedule.rate(4e-4, e, epochs)).collect::<Vec<_>>();
    assert_eq!(rates(Schedule::Constant, 3), [4e-4; 3]);
    // From 4e-4 to 4e-6 over a hundred epochs, in equal steps.
    let linear = rates(Schedule::Linear, 100);
    assert_relative_eq!(linear[0], 4e-4);
    assert_relative_eq!(linear[99], 4e-6, max_relative = 1e-9);
    linear.windows(2).for_each(|w| assert_relative_eq!(w[0] - w[1], 4e-6, max_relative = 1e-6));
    let cosine = rates(Schedule::Cosine, 4);
    assert_relative_eq!(cosine[0], 4e-4);
    assert_relative_eq!(cosine[1], 4e-4 * (0.5 + 0.5f64.sqrt() / 2.0), max_relative = 1e-12);
    assert_relative_eq!(cosine[2], 2e-4, max_relative = 1e-12);
}

#[test]
fn a_plateau_lowers_the_rate_when_patience_ends() {
    let mut schedule = Schedule::Plateau(Plateau::new(0.1, 2));
    let mut rates = Vec::new();
    for (epoch, loss) in [5.0, 4.0, 4.0, 4.5, 4.1, 3.0, f64::NAN, 3.0, 3.0].into_iter().enumerate() {
        rates.push(schedule.rate(1.0, epoch, 9));
        schedule.observe(loss);
    }
    // Neither an equal loss nor NaN is an improvement. The third epoch without one lowers the rate.
    let expected = [1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1];
    rates.iter().zip(expected).for_each(|(r, e)| assert_relative_eq!(*r, e, max_relative = 1e-12));
    assert_relative_eq!(schedule.rate(1.0, 9, 9), 0.01, max_relative = 1e-12);
}

/// Four equal steps up to the base rate, and then the cosine of the other epochs. A plateau behind a warm-up observes all losses.
#[test]
fn a_warm_up_comes_before_another_schedule() {
    let schedule = Schedule::WarmUp { epochs: 4, then: Box::new(Schedule::Cosine) };
    for (e, expected) in [0.25, 0.5, 0.75, 1.0].into_iter().enumerate() {
        assert_relative_eq!(schedule.rate(2.0, e, 10), 2.0 * expected);
    }
    (4..10).for_each(|e| assert_relative_eq!(schedule.rate(2.0, e, 10), Schedule::Cosine.rate(2.0, e - 4, 6)));
    let mut lowered = Schedule::WarmUp { epochs: 1, then: Box::new(Schedule::Plateau(Plateau::new(0.5, 0))) };
    [1.0, 1.0].into_iter().for_each(|loss| lowered.observe(loss));
    assert_relative_eq!(lowered.rate(1.0, 2, 9), 0.5);
}
