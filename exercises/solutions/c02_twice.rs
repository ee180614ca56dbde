//! Hint: If x changes a little, the loss changes along every path from x to the loss. These changes add up.

pub fn backward(nodes: &[Vec<(usize, f64)>]) -> Vec<f64> {
    let mut gradients = vec![0.0; nodes.len()];
    gradients[nodes.len() - 1] = 1.0;
    for i in (0..nodes.len()).rev() {
        for &(input, slope) in &nodes[i] {
            gradients[input] += gradients[i] * slope;
        }
    }
    gradients
}
