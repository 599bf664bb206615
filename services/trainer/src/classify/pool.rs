//! Threads for the answers of heads: those that serve calls must not be kept for long, and those that fit heads are busy.

use std::sync::Arc;

use graft_chassis::status;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::oneshot;
use tonic::Status;

/// One thread a core.
#[derive(Clone, Debug)]
pub struct Pool(Arc<ThreadPool>);

impl Pool {
    /// Start the threads.
    pub fn start() -> Result<Pool, ThreadPoolBuildError> {
        // The hook of the process tells of a panic; the caller is told below.
        let threads = ThreadPoolBuilder::new().thread_name(|at| format!("classify-{at}")).panic_handler(|_| ());
        Ok(Pool(Arc::new(threads.build()?)))
    }

    /// Do `work` on these threads, unless the caller is gone by then.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
        let (sender, receiver) = oneshot::channel();
        self.0.spawn(move || {
            if !sender.is_closed() {
                // The caller may have gone meanwhile.
                let _ = sender.send(work());
            }
        });
        receiver.await.map_err(|_| status::internal("the classification broke down"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn work_is_done_and_what_breaks_down_is_told() {
        let pool = Pool::start().unwrap();
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
        let broken: Result<(), Status> = pool.run(|| panic!("on purpose")).await;
        assert_eq!(broken.unwrap_err().code(), Code::Internal);
        assert_eq!(pool.run(|| 8).await.unwrap(), 8, "the threads go on");
    }

    #[tokio::test]
    async fn nothing_is_done_for_who_is_gone() {
        let pool = Pool::start().unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let wait = Arc::new(parking_lot::Mutex::new(wait));
        for _ in 0..pool.0.current_num_threads() {
            let wait = wait.clone();
            // It ends when `go` is dropped.
            pool.0.spawn(move || drop(wait.lock().recv()));
        }
        let (told, done) = mpsc::channel();
        let late = pool.run(move || told.send(()));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), late).await.is_err());
        drop(go);
        assert!(done.recv().is_err(), "the work is dropped undone");
    }
}
