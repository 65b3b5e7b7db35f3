//! What a defect has ended: a node that has lost a part of itself must not look well.
//!
//! A task or a thread that panics ends alone, and the others go on. Those that a validator cannot
//! do without run below [`Defects`], which remembers the first that ended in this way: the API tells
//! it, and the process of the node ends with it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

/// How often who waits for an end looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The first part of a node that a defect has ended, if one did. Clones are of the same node.
#[derive(Clone, Debug, Default)]
pub struct Defects(Arc<OnceLock<String>>);

impl Defects {
    /// Which part ended and why; nothing while all of them run.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        self.0.get().cloned()
    }

    /// Returns once a part has ended, with why.
    pub(crate) async fn ended(&self) -> String {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        loop {
            looks.tick().await;
            if let Some(reason) = self.first() {
                return reason;
            }
        }
    }

    /// Runs a part on a thread of its own. Gives nothing if a defect ends it.
    pub fn run<T>(&self, part: &str, run: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(run)).map_err(|panic| self.note(part, &*panic)).ok()
    }

    /// The same for a task.
    pub(crate) async fn follow<T>(self, part: &str, task: impl Future<Output = T>) -> Option<T> {
        let ended = AssertUnwindSafe(task).catch_unwind().await;
        ended.map_err(|panic| self.note(part, &*panic)).ok()
    }

    /// The same for one that ends only when it is ended: to return is a defect of it, too.
    pub(crate) async fn never(self, part: &str, task: impl Future<Output = ()>) {
        if self.clone().follow(part, task).await.is_some() {
            self.note(part, &"it returned");
        }
    }

    /// The same for one of which only the end matters.
    pub(crate) async fn need(self, part: &str, task: impl Future<Output = ()>) {
        self.follow(part, task).await;
    }

    fn note(&self, part: &str, panic: &(dyn Any + Send)) {
        let reason = reason(part, panic);
        tracing::error!("stopped: {reason}");
        // What follows from the first is of no interest.
        let _ = self.0.set(reason);
    }
}

/// What is said of a part that panicked.
pub(crate) fn reason(part: &str, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let what = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let what = what.unwrap_or_default();
    format!("a defect ended {part} ({what}): please report it with the log")
}

/// Tasks that a node cannot do without.
#[derive(Debug)]
pub(crate) struct NeededTasks {
    defects: Defects,
    tasks: JoinSet<()>,
}

impl NeededTasks {
    pub(crate) fn new(defects: Defects) -> Self {
        Self { defects, tasks: JoinSet::new() }
    }

    /// Starts one; `part` names it.
    pub(crate) fn spawn(
        &mut self,
        part: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(self.defects.clone().need(part, task));
    }

    /// Starts one that goes on until all are ended.
    pub(crate) fn spawn_endless(
        &mut self,
        part: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(self.defects.clone().never(part, task));
    }

    /// Ends all.
    pub(crate) async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn the_first_part_that_panics_is_remembered() {
        let defects = Defects::default();
        assert_eq!(defects.run("the archive", || 7), Some(7));
        assert_eq!(defects.clone().follow("the router", ready(8)).await, Some(8));
        assert_eq!(defects.first(), None);
        let panics = async { panic!("height {}", 9) };
        assert_eq!(defects.clone().follow("the router", panics).await, None::<()>);
        assert_eq!(defects.run("the archive", || -> u8 { panic!("it follows") }), None);
        let first = defects.first().expect("one is remembered");
        assert!(first.contains("the router (height 9)") && first.contains("report"), "{first}");
    }

    #[tokio::test]
    async fn tasks_that_are_ended_are_no_defect() {
        let defects = Defects::default();
        let mut tasks = NeededTasks::new(defects.clone());
        tasks.spawn("the relay", pending());
        tasks.shutdown().await;
        assert_eq!(defects.first(), None);
        tasks.spawn("the relay", ready(()));
        while tasks.tasks.join_next().await.is_some() {}
        assert_eq!(defects.first(), None);
        tasks.spawn("the relay", async { panic!("a lane without an end") });
        while tasks.tasks.join_next().await.is_some() {}
        assert!(defects.first().is_some_and(|it| it.contains("the relay (a lane without an end)")));
    }

    #[tokio::test]
    async fn a_task_that_should_go_on_and_returns_is_a_defect() {
        let defects = Defects::default();
        let mut tasks = NeededTasks::new(defects.clone());
        tasks.spawn_endless("the router", pending());
        tasks.shutdown().await;
        assert_eq!(defects.first(), None);
        tasks.spawn_endless("the router", ready(()));
        while tasks.tasks.join_next().await.is_some() {}
        assert!(defects.first().is_some_and(|it| it.contains("the router (it returned)")));
    }
}
