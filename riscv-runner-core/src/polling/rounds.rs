//! Passes through all jobs that are demand, some of them in each cycle: however many wait, each has its turn.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    ids::{JobId, RunId},
    job::JobPhase,
    ports::{DoubtfulJobs, DoubtfulPlace, DoubtfulQuery},
};

/// How many rows of a phase one cycle looks through.
const ROWS: u32 = 5_000;

/// Jobs and the runs that they are of.
type Seen = BTreeMap<JobId, Option<RunId>>;

/// How far the jobs of each phase have been looked through, and which ones there were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rounds {
    running: Round,
    waiting: Round,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Round {
    after: Option<DoubtfulPlace>,
    /// Those of this round so far.
    now: Seen,
    /// Those of the last round that came to its end.
    before: Seen,
}

impl Rounds {
    /// What each cycle reads: those that run apart from those that wait, for a backlog must not hide them.
    pub const PHASES: [JobPhase; 2] = [JobPhase::Running, JobPhase::Pending];

    /// The rows to read next, of those that have not changed since `before`.
    #[must_use]
    pub const fn query(&self, phase: JobPhase, before: Timestamp) -> DoubtfulQuery {
        let round = if matches!(phase, JobPhase::Running) { &self.running } else { &self.waiting };
        DoubtfulQuery { phase, before, after: round.after, limit: ROWS }
    }

    /// Notes what was read; after the last rows a new round begins.
    pub fn turn(&mut self, phase: JobPhase, read: &DoubtfulJobs) {
        let round = if phase == JobPhase::Running { &mut self.running } else { &mut self.waiting };
        let facts = read.jobs.iter().map(|doubtful| &doubtful.job.facts);
        round.now.extend(facts.map(|facts| (facts.id, facts.run)));
        round.after = read.next;
        if read.next.is_none() {
            round.before = std::mem::take(&mut round.now);
        }
    }

    /// Whether the job was there in this round or in the last.
    #[must_use]
    pub fn has(&self, job: JobId) -> bool {
        self.seen().any(|seen| seen.contains_key(&job))
    }

    /// The runs of those jobs.
    #[must_use]
    pub fn runs(&self) -> BTreeSet<RunId> {
        self.seen().flat_map(|seen| seen.values().copied().flatten()).collect()
    }

    fn seen(&self) -> impl Iterator<Item = &Seen> {
        [&self.running, &self.waiting].into_iter().flat_map(|round| [&round.now, &round.before])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::polling::jobs::tests::doubtful;

    /// Reads as a store does, `limit` rows at a time.
    fn read(rows: &[i64], query: &DoubtfulQuery, limit: usize) -> DoubtfulJobs {
        let all = rows.iter().map(|id| doubtful(*id, query.phase));
        let place = |row: &crate::ports::DoubtfulJob| (row.updated_at, row.job.facts.id);
        let jobs: Vec<_> =
            all.filter(|row| query.after.is_none_or(|after| place(row) > after)).take(limit).collect();
        let next = jobs.last().filter(|_| jobs.len() == limit).map(place);
        DoubtfulJobs { jobs, next }
    }

    fn turn(rounds: &mut Rounds, phase: JobPhase, rows: &[i64]) -> Vec<i64> {
        let query = rounds.query(phase, Timestamp::MAX);
        assert_eq!((query.phase, query.before), (phase, Timestamp::MAX));
        let page = read(rows, &query, 2);
        rounds.turn(phase, &page);
        page.jobs.iter().map(|row| row.job.facts.id.get()).collect()
    }

    #[test]
    fn each_row_has_its_turn_and_what_ended_is_forgotten_a_round_later() {
        let mut rounds = Rounds::default();
        let job = |id| JobId::new(id).unwrap();
        let mut next = |phase, rows: &[i64]| {
            let ids = turn(&mut rounds, phase, rows);
            (ids, (1..=9).filter(|id| rounds.has(job(*id))).collect::<Vec<_>>(), rounds.runs().len())
        };
        let waiting = JobPhase::Pending;
        assert_eq!(next(waiting, &[1, 2, 3, 4, 5]), (vec![1, 2], vec![1, 2], 2));
        assert_eq!(next(JobPhase::Running, &[9]), (vec![9], vec![1, 2, 9], 3), "apart from those that wait");
        assert_eq!(next(waiting, &[1, 2, 3, 4, 5]), (vec![3, 4], vec![1, 2, 3, 4, 9], 5));
        assert_eq!(next(waiting, &[1, 2, 3, 4, 5]), (vec![5], vec![1, 2, 3, 4, 5, 9], 6));
        assert_eq!(next(waiting, &[3, 4, 5]).0, [3, 4], "from the beginning");
        assert_eq!(next(JobPhase::Running, &[]).1, [1, 2, 3, 4, 5]);
        assert_eq!(next(waiting, &[3, 4, 5]), (vec![5], vec![3, 4, 5], 3));
    }
}
