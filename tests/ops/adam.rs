//! Adam's step against its formula in f64, over several steps, with weight decay, at settings other than the defaults.

use reference::adam::{Adam, Settings};
use reference::{Array, compare, law};
use tensor::{AdamStep, Generator, Isa, Tensor};

fn follow(settings: Settings, count: usize, steps: u64, rng: &mut Generator) {
    let start = rng.normal_tensor([count]);
    let gradients: Vec<Tensor> = (0..steps).map(|_| rng.normal_tensor([count])).collect();
    for isa in Isa::available() {
        let (mut p, mut m, mut v) = (start.clone(), Tensor::zeros([count]), Tensor::zeros([count]));
        let mut exact: Vec<Adam> = start.data().iter().map(|&p| Adam::new(f64::from(p))).collect();
        for (step, gradient) in (1..).zip(&gradients) {
            let Settings { rate, beta1, beta2, eps, weight_decay } = settings;
            let numbers = AdamStep { learning_rate: rate, beta1, beta2, eps, weight_decay, step };
            isa.force(|| p.adam(gradient, &mut m, &mut v, numbers));
            exact.iter_mut().zip(gradient.data()).for_each(|(p, &g)| p.step(f64::from(g), settings));
            // What moved, not where to: a step that is a thousandth too long must be seen.
            let moved = |p: f64, start: f32| p - f64::from(start);
            let expected = exact.iter().zip(start.data()).map(|(e, &s)| moved(e.p, s)).collect();
            let got: Vec<f32> =
                p.data().iter().zip(start.data()).map(|(&p, &s)| (f64::from(p) - f64::from(s)) as f32).collect();
            let what = format!("{settings:?}, step {step} on {isa:?}");
            compare::assert_close(&what, &Tensor::new(&got, [count]), &Array::new([count], expected), 2e-5);
            // 1 − 0.999 in f32 is 5e-5 off, which a step of p hides.
            let squares = exact.iter().map(|e| e.v).collect();
            compare::assert_close(&format!("{what}: v"), &v, &Array::new([count], squares), 1e-6);
        }
    }
}

#[test]
fn steps_are_the_reference_s() {
    let usual = Settings { rate: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
    let settings = [
        usual,
        Settings { weight_decay: 0.3, ..usual },
        Settings { beta1: 0.5, beta2: 0.9, ..usual },
        Settings { eps: 0.3, ..usual }, // large enough that its place in the formula matters
    ];
    for (mut rng, settings) in law::draws(4).zip(settings) {
        follow(settings, 57, 12, &mut rng);
        follow(settings, 40_003, 2, &mut rng); // more than one core's share
    }
}

#[test]
fn far_along_the_corrections_vanish() {
    let step = AdamStep { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, step: u64::MAX };
    let (mut p, mut m, mut v) = (Tensor::ones([1]), Tensor::full([1], 2.0), Tensor::full([1], 4.0));
    p.adam(&Tensor::full([1], 2.0), &mut m, &mut v, step);
    approx::assert_relative_eq!(p.data()[0], 0.9, max_relative = 1e-6); // m/√v is 1: a step of the learning rate
}

/// The step writes in place, but never into elements that somebody else holds.
#[test]
fn others_keep_what_they_hold() {
    let (mut p, mut m, mut v) = (Tensor::ones([2000]), Tensor::zeros([2000]), Tensor::zeros([2000]));
    let held = p.clone();
    let gradient = Tensor::ones([2000]);
    let step = AdamStep { learning_rate: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, step: 1 };
    p.adam(&gradient, &mut m, &mut v, step);
    assert_eq!(held.data(), vec![1.0; 2000]);
    assert!(p.data().iter().all(|&p| (p - 0.9).abs() < 1e-6));
    let address = p.data().as_ptr();
    p.adam(&gradient, &mut m, &mut v, AdamStep { step: 2, ..step });
    assert_eq!(p.data().as_ptr(), address, "nobody else holds it: in place");
}
