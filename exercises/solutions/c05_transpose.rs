//! Hint: Two loops, over i and over t, as in the convolution. What would be added to a pixel outside of x is dropped.

pub fn transpose(y: &[f32], w: &[f32], stride: usize, padding: usize, size: usize) -> Vec<f32> {
    let mut x = vec![0.0; size];
    for (i, y) in y.iter().enumerate() {
        for (t, w) in w.iter().enumerate() {
            let place = (stride * i + t).checked_sub(padding);
            if let Some(pixel) = place.and_then(|place| x.get_mut(place)) {
                *pixel += w * y;
            }
        }
    }
    x
}
