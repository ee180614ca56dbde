//! Draws from the softmax of logits, as argmax_k (logit_k + g_k) with Gumbel noise g = −ln(−ln u), u ~ U(0, 1) (Gumbel, 1954). This
//! needs no transfer to the host.

use tensor::{Generator, Tensor};

/// Draws an index for each row with the probabilities of its softmax, `[rows, classes]` → `[rows]`.
pub fn draw_index(logits: &Tensor, rng: &mut Generator) -> Tensor {
    let uniform = rng.uniform_tensor(logits.shape(), 0.0, 1.0).clamp(1e-7, 1.0 - 6e-8); // so that g is finite
    let gumbel = uniform.log().mul_scalar(-1.0).log().mul_scalar(-1.0);
    logits.add(&gumbel.upload(&logits.device())).argmax(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_have_the_probabilities_of_the_softmax() {
        let (n, p) = (30_000, [0.5, 0.2, 0.0, 0.3_f32]);
        let logits = Tensor::new(&p.map(|p| p.max(1e-20).ln() + 7.0), [1, 4]).expand([n, 4]);
        let drawn = draw_index(&logits, &mut Generator::new(2));
        for (k, p) in p.iter().enumerate() {
            let share = drawn.data().iter().filter(|&&i| i as usize == k).count() as f32 / n as f32;
            assert!((share - p).abs() < 0.015, "{k}: {share}, expected {p}");
        }
    }
}
