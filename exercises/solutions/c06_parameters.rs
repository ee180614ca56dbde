//! Hint: A linear layer from n to m numbers has n·m weights and m biases.

pub fn parameters(pixels: usize, hidden: usize, latents: usize) -> usize {
    let layer = |inputs: usize, outputs: usize| inputs * outputs + outputs;
    layer(pixels, hidden) + layer(hidden, latents) + layer(latents, hidden) + layer(hidden, pixels)
}
