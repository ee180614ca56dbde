//! Max, average and global pooling, with overlap, gaps and padding. Among equal pixels the first gets the whole gradient.

use reference::law::{self, Within, between, draws};
use reference::place::{everywhere, fetch};
use reference::pool::{avg_pool2d, global_avg_pool2d, max_pool2d};
use tensor::{Generator, Pool, Tensor};

fn case(rng: &mut Generator) -> (Pool, [usize; 4]) {
    let kernel = between(rng, 1, 4);
    let pool = Pool { kernel, stride: between(rng, 1, 3), padding: rng.below(kernel / 2 + 1) };
    let side = |rng: &mut Generator| kernel - 2 * pool.padding.min((kernel - 1) / 2) + rng.below(7);
    (pool, [between(rng, 1, 3), between(rng, 1, 3), side(rng), side(rng)])
}

/// Elements that differ by at least 0.01, so that every window has a clear maximum.
fn distinct(rng: &mut Generator, shape: [usize; 4]) -> Tensor {
    let order = rng.permutation(shape.iter().product());
    Tensor::new(&order.iter().map(|&i| 0.01 * i as f32 - 1.0).collect::<Vec<_>>(), shape)
}

#[test]
fn values_match_the_reference() {
    for mut rng in draws(100) {
        let (pool, shape) = case(&mut rng);
        // All elements are negative, so that padding must not be the maximum.
        let x = [rng.uniform_tensor(shape, -3.0, -1.0)];
        let what = format!("{shape:?}, {pool:?}");
        law::forward(&format!("max {what}"), &x, |x| x[0].max_pool2d(pool), |x| max_pool2d(&x[0], pool), Within::Exact);
        law::forward(
            &format!("avg {what}"),
            &x,
            |x| x[0].avg_pool2d(pool),
            |x| avg_pool2d(&x[0], pool),
            Within::Largest(1e-6),
        );
        law::forward(
            &format!("global {what}"),
            &x,
            |x| x[0].global_avg_pool2d(),
            |x| global_avg_pool2d(&x[0]),
            Within::Largest(1e-6),
        );
    }
}

#[test]
fn gradients_match_the_reference() {
    for mut rng in draws(40) {
        let (pool, shape) = case(&mut rng);
        let x = [distinct(&mut rng, shape)];
        let what = format!("{shape:?}, {pool:?}");
        law::gradient(&format!("max {what}"), &x, |x| x[0].max_pool2d(pool), |x| max_pool2d(&x[0], pool));
        law::gradient(&format!("avg {what}"), &x, |x| x[0].avg_pool2d(pool), |x| avg_pool2d(&x[0], pool));
        law::gradient(&format!("global {what}"), &x, |x| x[0].global_avg_pool2d(), |x| global_avg_pool2d(&x[0]));
    }
}

#[test]
fn the_first_of_equal_pixels_gets_the_gradient() {
    let pool = Pool { kernel: 3, stride: 2, padding: 1 };
    let dy = Tensor::new(&[1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2]);
    everywhere(|device| {
        let dx = Tensor::full([1, 1, 4, 4], 5.0).upload(device).max_pool2d_gradient(&dy.upload(device), pool);
        // Windows begin at rows and columns −1 and 1. The first pixel of each that is inside the image:
        let first = [1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(fetch(&dx).data(), first);
    });
}

/// As in PyTorch, so that a network that diverges is noticed.
#[test]
fn nan_is_the_largest_pixel() {
    let pool = Pool { kernel: 2, stride: 2, padding: 0 };
    let x = Tensor::new(&[1.0, f32::NAN, 2.0, 3.0, f32::NAN, 1.0, 2.0, 3.0], [2, 1, 2, 2]);
    let dy = Tensor::new(&[5.0, 7.0], [2, 1, 1, 1]);
    everywhere(|device| {
        let x = x.upload(device);
        assert!(fetch(&x.max_pool2d(pool)).data().iter().all(|y| y.is_nan()));
        let dx = fetch(&x.max_pool2d_gradient(&dy.upload(device), pool));
        assert_eq!(dx.data(), [0.0, 5.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0]);
    });
}

#[test]
fn gradients_of_overlapping_windows_add_up() {
    let pool = Pool { kernel: 2, stride: 1, padding: 0 };
    let x = Tensor::new(&[0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0], [1, 1, 3, 3]);
    let dy = Tensor::new(&[1.0, 20.0, 300.0, 4000.0], [1, 1, 2, 2]);
    everywhere(|device| {
        let dx = x.upload(device).max_pool2d_gradient(&dy.upload(device), pool);
        assert_eq!(fetch(&dx).data()[4], 4321.0);
    });
}

#[test]
#[should_panic(expected = "avg_pool2d_gradient: [1, 1, 3, 3] of [4, 4]")]
fn the_gradient_of_another_size_is_refused() {
    Tensor::ones([1, 1, 3, 3]).avg_pool2d_gradient(Pool { kernel: 2, stride: 2, padding: 0 }, [4, 4]);
}

#[test]
#[should_panic(expected = "max_pool2d: image [1, 1, 0, 4] too small")]
fn an_image_without_pixels_has_no_largest() {
    Tensor::ones([1, 1, 0, 4]).max_pool2d(Pool { kernel: 2, stride: 1, padding: 1 });
}
