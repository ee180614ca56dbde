//! The model of the time of a step (`vae::distributed::StepTime`) against ranks that are threads, with messages that are delayed.
//! Sleeping stands for computing, so that the result depends little on what else the machine does.

use std::cell::Cell;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use vae::distributed::background::background;
use vae::distributed::threads::{ThreadRank, group};
use vae::distributed::{Communicator, Job, Network, StepTime, all_reduce, shards_of};

/// A rank whose messages take time: one after the other they leave with the network's bandwidth, and then take its latency.
struct Delayed {
    rank: ThreadRank,
    network: Network,
    start: Instant,
    /// When the last message has left, in seconds since the start.
    left: Cell<f64>,
}

impl Communicator for Delayed {
    fn rank(&self) -> usize {
        self.rank.rank()
    }

    fn size(&self) -> usize {
        self.rank.size()
    }

    /// The time of arrival goes ahead of the message.
    fn send(&self, to: usize, bytes: &[u8]) -> vae::Result<()> {
        let begin = self.left.get().max(self.start.elapsed().as_secs_f64());
        self.left.set(begin + bytes.len() as f64 / self.network.bandwidth);
        self.rank.send(to, &(self.left.get() + self.network.latency).to_le_bytes())?;
        self.rank.send(to, bytes)
    }

    fn receive(&self, from: usize, bytes: &mut [u8]) -> vae::Result<()> {
        let mut arrival = [0; 8];
        self.rank.receive(from, &mut arrival)?;
        let wait = f64::from_le_bytes(arrival) - self.start.elapsed().as_secs_f64();
        std::thread::sleep(Duration::from_secs_f64(wait.max(0.0)));
        self.rank.receive(from, bytes)
    }

    fn start(&self, job: Job) {
        job(self);
    }
}

/// The seconds of a step that computes by sleeping, and adds up its buckets as training does.
fn measured(step: &StepTime, ranks: usize, network: Network) -> f64 {
    let start = Instant::now();
    let until = |time: f64| {
        std::thread::sleep(Duration::from_secs_f64((time - start.elapsed().as_secs_f64()).max(0.0)));
    };
    let work = |rank: ThreadRank| {
        let (number, (handle, jobs)) = (rank.rank(), background(rank.rank(), ranks));
        std::thread::scope(|scope| {
            scope.spawn(move || jobs.run(&Delayed { rank, network, start, left: Cell::new(0.0) }));
            let (sender, results) = channel();
            for &(bytes, ready) in &step.buckets {
                until(ready);
                let (sender, mut numbers) = (sender.clone(), vec![1.0; bytes as usize / 4]);
                handle.start(Box::new(move |communicator| {
                    let range = shards_of(number, ranks, ranks);
                    all_reduce(communicator, ranks, &mut [(range, &mut numbers[..])]).unwrap();
                    sender.send(numbers[0]).unwrap();
                }));
            }
            until(step.backward);
            step.buckets.iter().for_each(|_| assert_eq!(results.recv().unwrap(), ranks as f32));
            std::thread::sleep(Duration::from_secs_f64(step.optimiser));
            drop(handle);
        });
    };
    std::thread::scope(|scope| group(ranks).into_iter().for_each(|rank| drop(scope.spawn(|| work(rank)))));
    start.elapsed().as_secs_f64()
}

#[test]
fn delayed_messages_take_the_time_of_the_model() {
    // 2.4 MB in six buckets, which are complete one after the other.
    let step = StepTime {
        buckets: (0..6).map(|k| (4e5, 0.05 + 0.02 * f64::from(k))).collect(),
        backward: 0.16,
        optimiser: 0.01,
    };
    let early = StepTime { buckets: step.buckets.iter().map(|(bytes, _)| (*bytes, 0.16)).collect(), ..step.clone() };
    let mut hidden = 0;
    for (bandwidth, latency) in [(1e9, 1e-4), (3e7, 1e-3), (1e7, 1e-3), (1e8, 1e-2)] {
        let network = Network { bandwidth, latency };
        for ranks in [2, 4] {
            let predicted = step.of(ranks, network);
            // The least of several, because threads are late on a machine that has other work.
            let found = (0..4).map(|_| measured(&step, ranks, network)).fold(f64::INFINITY, f64::min);
            println!("{ranks} ranks, {bandwidth:.0e} B/s, {latency:.0e} s: {predicted:.3} s, measured {found:.3} s");
            assert!(found > 0.99 * predicted && found < 1.15 * predicted + 0.02, "{found} s, predicted {predicted} s");
            hidden += u32::from(early.of(ranks, network) > 1.2 * predicted);
        }
    }
    assert!(hidden >= 3, "the steps do not show that messages travel during the backward pass");
}
