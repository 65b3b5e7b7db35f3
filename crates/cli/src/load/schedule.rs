//! When which account sends which nonce through which node: a plan that no answer changes.
//!
//! Transaction `i` is due `i / tps` seconds after the start, whatever became of the ones before
//! (an open loop). Accounts take turns, so an account's nonces rise by one; an account stays at
//! one node, because a node proposes an account's transactions in the order of their nonces and
//! does not know those that wait elsewhere.

use std::time::Duration;

/// How long transactions that are due are gathered for one request, at most.
const LINGER: Duration = Duration::from_millis(5);

/// One transaction to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Which account sends it.
    pub account: usize,
    /// How many that account sends before it.
    pub turn: u64,
    /// When it is due, from the start.
    pub due: Duration,
}

/// The plan of all nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// How many accounts take turns.
    pub accounts: usize,
    /// How many nodes share the accounts.
    pub nodes: usize,
    /// Transactions per second, at all nodes together.
    pub tps: f64,
    /// How many transactions there are in all; without an end if not given.
    pub total: Option<u64>,
}

impl Schedule {
    /// The node of an account.
    pub fn node_of(&self, account: usize) -> usize {
        account % self.nodes
    }

    /// How many transactions an account sends, if there is an end.
    pub fn turns_of(&self, account: usize) -> Option<u64> {
        let (accounts, account) = (self.accounts as u64, account as u64);
        self.total.map(|total| total.saturating_sub(account).div_ceil(accounts))
    }

    /// The part of one node.
    pub fn lane(&self, node: usize) -> LaneSchedule {
        let accounts = self.accounts.saturating_sub(node).div_ceil(self.nodes);
        let rate = self.tps * accounts as f64 / self.accounts as f64;
        // Where less than two are due in the time, waiting would gather nothing.
        let linger = if rate * LINGER.as_secs_f64() < 2.0 { Duration::ZERO } else { LINGER };
        LaneSchedule { all: *self, node, accounts: accounts as u64, linger, next: 0 }
    }
}

/// What to do at a moment.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these, which are due.
    Send(Vec<Slot>),
    /// Nothing until then, from the start.
    WaitUntil(Duration),
    /// All was given out.
    Done,
}

/// The part of one node, given out in order.
#[derive(Debug)]
pub struct LaneSchedule {
    all: Schedule,
    node: usize,
    accounts: u64,
    linger: Duration,
    next: u64,
}

impl LaneSchedule {
    /// What to do `now` after the start, with at most `batch` in one request. In the end what is
    /// due is not gathered any more.
    pub fn step(&mut self, now: Duration, batch: usize, is_end: bool) -> Step {
        let Some(first) = self.slot(self.next) else {
            return Step::Done;
        };
        let gathered_at = first.due + self.linger;
        let mut slots = Vec::new();
        let mut upcoming = Some(first);
        while let Some(slot) = upcoming.filter(|slot| slot.due <= now && slots.len() < batch) {
            slots.push(slot);
            upcoming = self.slot(self.next + slots.len() as u64);
        }
        if slots.is_empty() {
            return Step::WaitUntil(first.due);
        }
        let is_complete =
            is_end || slots.len() == batch || upcoming.is_none() || gathered_at <= now;
        if !is_complete {
            let full = self.slot(self.next.saturating_add(batch as u64 - 1));
            return Step::WaitUntil(full.map_or(gathered_at, |last| last.due.min(gathered_at)));
        }
        self.next += slots.len() as u64;
        Step::Send(slots)
    }

    /// All slots that were not given out.
    pub fn rest(&self) -> impl Iterator<Item = Slot> + '_ {
        (self.next..).map_while(|position| self.slot(position))
    }

    /// How many were due by `now` and not given out.
    pub fn behind(&self, now: Duration) -> u64 {
        self.rest().take_while(|slot| slot.due < now).count() as u64
    }

    /// The slot at a position of this node's order.
    fn slot(&self, position: u64) -> Option<Slot> {
        let turn = position.checked_div(self.accounts)?;
        let account = self.node as u64 + self.all.nodes as u64 * (position % self.accounts);
        let index = turn * self.all.accounts as u64 + account;
        if self.all.total.is_some_and(|total| index >= total) {
            return None;
        }
        let due = Duration::from_secs_f64(index as f64 / self.all.tps);
        Some(Slot { account: usize::try_from(account).ok()?, turn, due })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(accounts: usize, nodes: usize, tps: f64, total: u64) -> Schedule {
        Schedule { accounts, nodes, tps, total: Some(total) }
    }

    /// All that the lanes give out, as (account, turn, due in ms).
    fn all(schedule: Schedule) -> Vec<(usize, u64, u128)> {
        let mut slots: Vec<(usize, u64, u128)> = (0..schedule.nodes)
            .flat_map(|node| schedule.lane(node).rest().collect::<Vec<_>>())
            .map(|slot| (slot.account, slot.turn, slot.due.as_millis()))
            .collect();
        slots.sort_by_key(|slot| (slot.2, slot.0));
        slots
    }

    #[test]
    fn accounts_take_turns_and_every_transaction_has_its_moment() {
        let expected = [(0, 0, 0), (1, 0, 100), (2, 0, 200), (0, 1, 300), (1, 1, 400)];
        for nodes in 1..=4 {
            assert_eq!(all(schedule(3, nodes, 10.0, 5)), expected, "{nodes} nodes");
        }
    }

    /// Whatever the numbers are, an account uses each nonce once and in order, at one node.
    #[test]
    fn nonces_of_an_account_rise_by_one_at_one_node() {
        for (accounts, nodes, total) in [(1, 1, 7), (5, 2, 33), (7, 4, 100), (4, 4, 4), (3, 4, 10)]
        {
            let schedule = schedule(accounts, nodes, 1000.0, total);
            let mut turns = vec![0; accounts];
            for node in 0..nodes {
                for slot in schedule.lane(node).rest() {
                    assert_eq!(schedule.node_of(slot.account), node);
                    assert_eq!(slot.turn, turns[slot.account]);
                    turns[slot.account] += 1;
                }
            }
            assert_eq!(turns.iter().sum::<u64>(), total);
            let expected: Vec<_> = (0..accounts).filter_map(|one| schedule.turns_of(one)).collect();
            assert_eq!(turns, expected);
        }
    }

    /// Given a node whose answers took half a second.
    /// When the sender comes back, then all that was due meanwhile is due at its own moment, not
    /// later: the delay counts as latency, and the offered rate stays what it was.
    #[test]
    fn a_late_answer_does_not_slow_down_the_offered_rate() {
        let mut lane = schedule(2, 1, 1000.0, 2000).lane(0);
        let ms = Duration::from_millis;
        assert!(matches!(lane.step(ms(5), 10, false), Step::Send(slots) if slots.len() == 6));
        assert_eq!(lane.behind(ms(505)), 499);
        let mut sent = 6;
        while let Step::Send(slots) = lane.step(ms(505), 100, false) {
            assert_eq!(slots[0].due, ms(sent));
            sent += slots.len() as u64;
        }
        assert_eq!((sent, lane.behind(ms(505))), (506, 0));
    }

    #[test]
    fn what_is_due_is_gathered_for_a_moment_where_more_is_about_to_come() {
        let ms = Duration::from_millis;
        let mut busy = schedule(1, 1, 1000.0, 100).lane(0);
        assert_eq!(busy.step(ms(2), 50, false), Step::WaitUntil(ms(5)));
        assert_eq!(busy.step(ms(2), 4, false), Step::WaitUntil(ms(3)));
        assert!(matches!(busy.step(ms(2), 2, false), Step::Send(slots) if slots.len() == 2));
        assert!(matches!(busy.step(ms(7), 50, false), Step::Send(slots) if slots.len() == 6));
        assert_eq!(busy.step(ms(8), 50, false), Step::WaitUntil(ms(13)));
        assert!(matches!(busy.step(ms(8), 50, true), Step::Send(slots) if slots.len() == 1));
        let mut calm = schedule(1, 1, 10.0, 3).lane(0);
        assert!(matches!(calm.step(ms(0), 50, false), Step::Send(slots) if slots.len() == 1));
        assert_eq!(calm.step(ms(1), 50, false), Step::WaitUntil(ms(100)));
        assert!(matches!(calm.step(ms(300), 50, false), Step::Send(slots) if slots.len() == 2));
        assert_eq!(calm.step(ms(300), 50, false), Step::Done);
    }

    #[test]
    fn a_node_without_accounts_has_nothing_to_do() {
        assert_eq!(schedule(2, 3, 10.0, 9).lane(2).step(Duration::ZERO, 1, false), Step::Done);
    }
}
