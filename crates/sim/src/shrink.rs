//! Making what fails as small as it can be while it still fails.
//!
//! Greedy: every simplification is tried, the first that still fails is kept, and so on until
//! none helps or it has been enough.

use std::ops::Range;

/// One way to make something simpler: what to try, the largest steps first. No two of them undo
/// each other, so that shrinking ends.
pub(crate) type Simplify<T> = fn(&T) -> Vec<T>;

/// Shrinks something that fails, until `enough` holds of the number of runs; gives back how many
/// there were.
///
/// `fails` decides whether something still shows the same defect; it says nothing of what cannot
/// run at all.
pub(crate) fn shrink<T>(
    original: T,
    simplifications: &[Simplify<T>],
    enough: &dyn Fn(u64) -> bool,
    fails: &mut dyn FnMut(&T) -> Option<bool>,
) -> (T, u64) {
    let (mut smallest, mut runs) = (original, 0);
    loop {
        let mut smaller = false;
        for simplify in simplifications {
            // What follows a success is derived anew from what is smaller now.
            let mut skip = 0;
            while let Some(candidate) = simplify(&smallest).into_iter().nth(skip) {
                if enough(runs) {
                    return (smallest, runs);
                }
                let verdict = fails(&candidate);
                runs += u64::from(verdict.is_some());
                if verdict == Some(true) {
                    smallest = candidate;
                    smaller = true;
                } else {
                    skip += 1;
                }
            }
        }
        if !smaller {
            return (smallest, runs);
        }
    }
}

/// What may be left out of a list of this length: all, each half, and so on, at last each one.
pub(crate) fn parts(length: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut size = length;
    while size > 0 {
        parts.extend((0..length).step_by(size).map(|start| start..(start + size).min(length)));
        size /= 2;
    }
    parts
}
