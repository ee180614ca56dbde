//! A model of the time of a step by N ranks, each of which has one shard. N is a power of two.
//!
//! A rank computes for the time F until its backward pass begins. Its bucket k of gradients, of Gₖ bytes, is complete at the time rₖ.
//! Buckets are added up one after the other. Bucket k takes the time
//!
//! ```text
//! cₖ(N) = 2·(N − 1)/N·Gₖ/B + (log₂ N + N − 1)·L
//! eₖ    = max(eₖ₋₁, rₖ) + cₖ(N)          when it has been added up
//! t(N)  = max(e_last, time of the backward pass) + time of the optimiser
//! ```
//!
//! in a network where each rank sends B bytes a second, and a message arrives L after it was sent. First the ranks exchange halves,
//! quarters and so on: log₂ N messages with (N − 1)/N of the bytes. The sums then go around a ring: N − 1 messages with as many bytes.
//! What adding and copying cost is not in the model, nor that other ranks may be late.

/// What a rank computes in a step. All times are in seconds since the start of the step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTime {
    /// The bytes of each bucket, and when its gradients are complete.
    pub buckets: Vec<(f64, f64)>,
    /// The end of the backward pass.
    pub backward: f64,
    /// The time of the optimiser.
    pub optimiser: f64,
}

/// A network between ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// The bytes that a rank sends in a second.
    pub bandwidth: f64,
    /// The seconds from sending a message to its arrival.
    pub latency: f64,
}

impl StepTime {
    /// Returns the seconds of a step by `ranks` ranks, a power of two.
    pub fn of(&self, ranks: usize, network: Network) -> f64 {
        let (n, mut end) = (ranks as f64, 0.0_f64);
        if ranks > 1 {
            for (bytes, ready) in &self.buckets {
                let sent = 2.0 * (n - 1.0) / n * bytes / network.bandwidth;
                end = end.max(*ready) + sent + (n.log2() + n - 1.0) * network.latency;
            }
        }
        end.max(self.backward) + self.optimiser
    }

    /// Returns the same step with a batch of another size: all times but that of the optimiser are multiplied by `factor`.
    pub fn scaled(&self, factor: f64) -> StepTime {
        let buckets = self.buckets.iter().map(|(bytes, ready)| (*bytes, ready * factor)).collect();
        StepTime { buckets, backward: self.backward * factor, optimiser: self.optimiser }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_has_its_limits() {
        let step = StepTime { buckets: vec![(1e6, 1.0), (3e6, 2.0)], backward: 2.0, optimiser: 0.5 };
        let network = Network { bandwidth: 1e6, latency: 0.0 };
        assert_eq!(step.of(1, network), 2.5);
        assert_eq!(step.of(2, network), 2.0 + 3.0 + 0.5); // the first bucket is hidden
        assert_eq!(step.of(4, network), 1.0 + 1.5 + 4.5 + 0.5);
        let late = StepTime { backward: 1.0, ..step.clone() };
        assert_eq!(late.of(1, network), 1.5, "one rank waits for no sum");
        // Five messages of four ranks, of half a second each.
        let slow = Network { bandwidth: f64::INFINITY, latency: 0.5 };
        assert_eq!(step.of(4, slow), 1.0 + 2.5 + 2.5 + 0.5);
        let half = step.scaled(0.5);
        assert_eq!((half.of(1, network), half.of(2, network)), (1.5, 0.5 + 1.0 + 3.0 + 0.5));
    }
}
