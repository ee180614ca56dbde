//! Prepares batches on a background thread while the device computes.
//!
//! The contents of a batch are a function of (seed, epoch, image), so the thread does not change the results. At most
//! two batches wait in the queue. On platforms without threads, such as browsers, a batch is prepared when it is
//! requested.

use tensor::{Device, Tensor};

use crate::data::Dataset;
use crate::error::Result;

/// The images of one training step.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The model input, `[images, channels, size, size]`.
    pub input: Tensor,
    /// The reconstruction target, if it differs from `input`.
    pub clean: Option<Tensor>,
    /// The label of each image.
    pub labels: Vec<usize>,
}

impl Prepared {
    /// Copies the input and the reconstruction target to a device.
    pub fn upload(&self, device: &Device) -> [Tensor; 2] {
        let input = self.input.upload(device);
        let target = self.clean.as_ref().map_or_else(|| input.clone(), |clean| clean.upload(device));
        [input, target]
    }
}

/// Returns an iterator over batches of training images. Each has the images at the positions of one of `parts`, in this order.
/// Dropping the iterator ends its thread.
///
/// # Errors
/// If the operating system cannot start a thread. An error on the thread becomes the last item of the iterator.
pub fn batches(
    dataset: &Dataset,
    epoch: usize,
    parts: Vec<Vec<usize>>,
) -> Result<impl Iterator<Item = Result<Prepared>> + use<>> {
    let dataset = dataset.clone();
    let prepared = parts.into_iter().map(move |places| dataset.training_batch(epoch, &places));
    #[cfg(not(target_arch = "wasm32"))]
    let prepared = background::Background::start(prepared)?;
    Ok(prepared)
}

#[cfg(not(target_arch = "wasm32"))]
mod background {
    use std::any::Any;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::thread::{Builder, JoinHandle};

    use crate::error::{Error, Result};

    /// The number of prepared items in the queue.
    const QUEUE_CAPACITY: usize = 2;

    /// An iterator whose items are computed ahead of time on a background thread.
    pub(super) struct Background<T> {
        /// It is dropped before the thread is joined: the thread ends when it cannot send.
        queue: Option<Receiver<Result<T>>>,
        thread: Option<JoinHandle<()>>,
    }

    impl<T: Send + 'static> Background<T> {
        pub(super) fn start(items: impl Iterator<Item = Result<T>> + Send + 'static) -> Result<Background<T>> {
            let (sender, queue) = sync_channel(QUEUE_CAPACITY);
            let work = move || {
                for item in items {
                    let last = item.is_err();
                    if sender.send(item).is_err() || last {
                        return;
                    }
                }
            };
            let thread = Builder::new().name("images".into()).spawn(work);
            let thread = thread.map_err(|error| {
                Error::Thread(format!("the thread that prepares images cannot be started: {error}"))
            })?;
            Ok(Background { queue: Some(queue), thread: Some(thread) })
        }
    }

    impl<T> Iterator for Background<T> {
        type Item = Result<T>;

        fn next(&mut self) -> Option<Result<T>> {
            if let Ok(item) = self.queue.as_ref()?.recv() {
                return Some(item);
            }
            self.queue = None; // the thread has ended, normally or by a panic
            let panic = self.thread.take()?.join().err()?;
            Some(Err(Error::Thread(format!("the thread that prepares images failed: {}", panic_message(&*panic)))))
        }
    }

    impl<T> Drop for Background<T> {
        fn drop(&mut self) {
            self.queue = None;
            let _ = self.thread.take().map(JoinHandle::join); // a panic is ignored because nobody reads further items
        }
    }

    /// Returns the message of a panic in one line.
    fn panic_message(panic: &(dyn Any + Send)) -> String {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic").replace('\n', " ")
    }

    #[cfg(test)]
    mod tests {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
        use std::time::Duration;

        use super::*;

        #[test]
        fn items_come_in_order_and_none_after_the_last() {
            let mut all = Background::start((0..100).map(Ok)).unwrap();
            assert_eq!((&mut all).map(Result::unwrap).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
            assert!(all.next().is_none() && all.next().is_none());
        }

        #[test]
        fn errors_and_panics_come_in_order_and_end_the_iterator() {
            let bad = |i: i32| if i == 3 { Err(Error::config("no")) } else { Ok(i) };
            let mut failing = Background::start((0..10).map(bad)).unwrap();
            assert_eq!((&mut failing).take(3).map(Result::unwrap).collect::<Vec<_>>(), [0, 1, 2]);
            assert_eq!(failing.next().unwrap().unwrap_err().to_string(), "no");
            assert!(failing.next().is_none());

            let mut panicking =
                Background::start((0..10).map(|i| if i == 2 { panic!("at {i}\nhere") } else { Ok(i) })).unwrap();
            assert_eq!((&mut panicking).take(2).map(Result::unwrap).collect::<Vec<_>>(), [0, 1]);
            let message = panicking.next().unwrap().unwrap_err().to_string();
            assert!(message.contains("failed: at 2 here") && !message.contains('\n'), "{message}");
            assert!(panicking.next().is_none());
        }

        #[test]
        fn only_the_queue_is_computed_ahead_and_dropping_ends_the_thread() {
            struct Gone(Arc<AtomicUsize>);
            impl Drop for Gone {
                fn drop(&mut self) {
                    self.0.fetch_add(1, SeqCst);
                }
            }
            let (made, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (count, guard) = (made.clone(), Gone(gone.clone()));
            let endless = (0..).map(move |_: u64| {
                let _ = &guard;
                Ok(count.fetch_add(1, SeqCst))
            });
            let mut running = Background::start(endless).unwrap();
            assert_eq!(running.next().unwrap().unwrap(), 0);
            std::thread::sleep(Duration::from_millis(50));
            assert!(made.load(SeqCst) <= 1 + 2 + 1, "{}", made.load(SeqCst)); // taken, in the queue, being sent
            drop(running);
            assert_eq!(gone.load(SeqCst), 1, "the thread outlived its iterator");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;
    use crate::data::{Dataset, batches};

    #[test]
    fn background_batches_equal_directly_computed_ones() {
        let mut settings = Settings::default();
        for setting in
            ["data.augment=flip-crop", "data.noise_std=0.2", "data.noise_fraction=0.5", "data.noise_target=clean"]
        {
            settings.assignment(setting).unwrap();
        }
        let dataset = Dataset::built_in(&settings.resolve().unwrap()).unwrap();
        let places: Vec<usize> = (0..70).rev().collect();
        let parts = places.chunks(16).map(<[usize]>::to_vec).collect();
        let prepared: Vec<_> = batches(&dataset, 3, parts).unwrap().map(Result::unwrap).collect();
        assert_eq!(prepared.len(), 5);
        for (batch, places) in prepared.iter().zip(places.chunks(16)) {
            let here = dataset.training_batch(3, places).unwrap();
            assert_eq!((batch.input.shape(), batch.input.data()), (here.input.shape(), here.input.data()));
            assert_eq!(batch.clean.as_ref().unwrap().data(), here.clean.unwrap().data());
        }
    }
}
