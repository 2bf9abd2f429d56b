//! Reading what a cycle needs, and the fenced, compared-and-set writes of a leader.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    delivery::{IfAbsent, JobWrite},
    failure::FailureReason,
    ids::{ImageRef, JobId, NodeName, RepoId, RepoName, WorkerName},
    job::{Job, JobEvent, JobFacts, Placement},
    ports::{
        Cas, DoubtfulJob, DoubtfulJobs, DoubtfulQuery, HeadRequest, INSTALLATION_NEWS, KnownRepo,
        LeaderProof, PoolShare, PortResult, Reservation, Reserved, SchedulingStore, Standing, WorkerChange,
        WorkerRow,
    },
    quarantine::Quarantine,
    scope::{PoolKey, ScopeRef},
    snapshot::{Demand, PendingJob},
    worker::{Worker, WorkerStatus},
};

use super::{
    Change, LiveCounts, MemoryStore,
    rows::{Rows, count},
};

#[async_trait]
impl SchedulingStore for MemoryStore {
    async fn demand(&self) -> PortResult<BTreeMap<PoolKey, Demand>> {
        Ok(self.read(|rows| {
            let counted = rows.demand.iter().map(|(key, demand)| {
                let counts = Demand {
                    pending: count(demand.pending.len()),
                    running: demand.running,
                    oldest: demand.pending.first().map(|(created_at, _)| *created_at),
                    front: demand.pending.first().and_then(|(_, id)| first_of(rows, *id)),
                    pending_by_pool: demand.pending_by_pool.clone(),
                    ..Demand::default()
                };
                (key.clone(), counts)
            });
            counted.collect()
        }))
    }

    async fn waiting(
        &self,
        heads: &[HeadRequest],
        except: &[RepoName],
        shares: &[PoolShare],
    ) -> PortResult<BTreeMap<PoolKey, Vec<PendingJob>>> {
        Ok(self.read(|rows| {
            let asked = heads.iter().flat_map(|head| {
                let jobs = waiting_of(rows, head, except);
                jobs.into_iter().map(|job| (head.key.clone(), job))
            });
            oldest_that_fit(asked.collect(), shares.to_vec())
        }))
    }

    async fn live_workers(&self) -> PortResult<BTreeMap<WorkerName, Worker>> {
        Ok(self.read(|rows| {
            let live = rows.live.iter().filter_map(|name| rows.worker(name));
            live.map(|row| (row.worker.name.clone(), row.worker)).collect()
        }))
    }

    async fn workers_named(&self, names: &[WorkerName]) -> PortResult<BTreeMap<WorkerName, Worker>> {
        Ok(self.read(|rows| {
            let found = names.iter().filter_map(|name| rows.worker(name));
            found.map(|row| (row.worker.name.clone(), row.worker)).collect()
        }))
    }

    async fn scopes_of_workers(&self, since: Timestamp) -> PortResult<Vec<ScopeRef>> {
        Ok(self.read(|rows| {
            let workers = rows.workers.values().map(|row| &row.worker);
            let recent =
                workers.filter(|worker| worker.created_at >= since || worker.completed_at >= Some(since));
            recent.map(|worker| &worker.scope).collect::<BTreeSet<_>>().into_iter().cloned().collect()
        }))
    }

    async fn standing(&self) -> PortResult<Standing> {
        let now = self.platform.now();
        Ok(self.read(|rows| {
            let mut standing = rows.standing.clone();
            standing.controls.revoked_workers.retain(|worker, _| rows.live.contains(worker));
            let recent = |key| {
                let learned = rows.installations_learned.get(key);
                learned.is_some_and(|at| age(now, *at) < INSTALLATION_NEWS)
            };
            let installations = standing.installations.iter().filter(|(key, _)| recent(*key));
            standing.installations = installations.map(|(key, known)| (*key, *known)).collect();
            standing.deliveries_swept = rows.deliveries_swept;
            standing
        }))
    }

    async fn reserve(&self, proof: &LeaderProof, reservations: &[Reservation]) -> PortResult<Vec<Reserved>> {
        self.fenced(proof, "reserve workers", |rows, now| {
            let mut counts = rows.live_counts();
            reservations.iter().map(|wanted| reserve_one(rows, &mut counts, wanted, now)).collect()
        })
    }

    async fn change_worker(
        &self,
        proof: &LeaderProof,
        name: &WorkerName,
        from: WorkerStatus,
        change: &WorkerChange,
    ) -> PortResult<Cas> {
        self.fenced(proof, "change a worker", |rows, now| {
            let Some(row) = rows.workers.get(name) else { return Cas::Stale };
            let mut next = row.clone();
            let cas = next.worker.change(from, change);
            if cas == Cas::Done {
                next.updated_at = now;
                rows.standing.note(next.worker.key(), change);
                rows.put_worker(next);
            }
            cas
        })
    }

    async fn adopt_worker(&self, proof: &LeaderProof, worker: &Worker) -> PortResult<Cas> {
        self.fenced(proof, "adopt a worker", |rows, now| {
            if rows.workers.contains_key(&worker.name) {
                return Cas::Stale;
            }
            rows.put_worker(WorkerRow { worker: worker.clone(), updated_at: now });
            Cas::Done
        })
    }

    async fn join_job(&self, proof: &LeaderProof, job: JobId, event: &JobEvent) -> PortResult<JobWrite> {
        let write = self.fenced(proof, "join a job", |rows, now| rows.join_known(job, event, now))?;
        if write.wakes_scheduler() {
            self.wake();
        }
        Ok(write)
    }

    async fn join_listed_job(
        &self,
        proof: &LeaderProof,
        facts: &JobFacts,
        placement: &Placement,
        event: &JobEvent,
    ) -> PortResult<JobWrite> {
        let write = self.fenced(proof, "join a listed job", |rows, now| {
            rows.take_over_installation(facts);
            rows.join(facts, event, &IfAbsent::Insert(placement.clone()), now)
        })?;
        if write.wakes_scheduler() {
            self.wake();
        }
        Ok(write)
    }

    async fn known_repos(&self, since: Timestamp) -> PortResult<Vec<KnownRepo>> {
        Ok(self.read(|rows| {
            let recent = rows.jobs.values().filter(|row| row.job.facts.created_at >= since);
            let mut newest = BTreeMap::<RepoId, &JobFacts>::new();
            for facts in recent.map(|row| &row.job.facts) {
                let known = newest.entry(facts.repo_id).or_insert(facts);
                if (facts.created_at, facts.id) > (known.created_at, known.id) {
                    *known = facts;
                }
            }
            newest.into_values().map(KnownRepo::from).collect()
        }))
    }

    async fn jobs_with_ids(&self, ids: &[JobId]) -> PortResult<Vec<Job>> {
        Ok(self
            .read(|rows| ids.iter().filter_map(|id| rows.jobs.get(id)).map(|row| row.job.clone()).collect()))
    }

    async fn doubtful_jobs(&self, query: &DoubtfulQuery) -> PortResult<DoubtfulJobs> {
        Ok(self.read(|rows| {
            let first = query.after.map_or(Bound::Unbounded, Bound::Excluded);
            let old = rows.unchanged_since.range((first, Bound::Unbounded));
            let old = old.take_while(|(updated_at, _)| *updated_at < query.before);
            let of_phase =
                |id: &JobId| rows.jobs.get(id).is_some_and(|row| row.job.state.phase == query.phase);
            let places: Vec<_> =
                old.filter(|(_, id)| of_phase(id)).take(query.limit as usize).copied().collect();
            let next = places.last().copied().filter(|_| places.len() == query.limit as usize);
            DoubtfulJobs { jobs: places.iter().filter_map(|(_, id)| doubtful(rows, *id)).collect(), next }
        }))
    }

    async fn deliveries_swept(&self) -> PortResult<Option<Timestamp>> {
        Ok(self.read(|rows| rows.deliveries_swept))
    }

    async fn note_deliveries_swept(&self, proof: &LeaderProof, until: Timestamp) -> PortResult<()> {
        self.fenced(proof, "note a sweep", |rows, _| {
            rows.deliveries_swept = rows.deliveries_swept.max(Some(until));
        })
    }

    async fn refuse_image(
        &self,
        proof: &LeaderProof,
        image: &ImageRef,
        since: Option<Timestamp>,
    ) -> PortResult<()> {
        self.fenced(proof, "mark an image", |rows, _| {
            replace(&mut rows.standing.refused_images, image, since);
        })
    }

    async fn clear_backoff(&self, proof: &LeaderProof, key: &PoolKey) -> PortResult<()> {
        self.fenced(proof, "clear a back-off", |rows, _| {
            rows.standing.backoffs.remove(key);
        })
    }

    async fn set_quarantine(
        &self,
        proof: &LeaderProof,
        node: &NodeName,
        quarantine: Option<&Quarantine>,
    ) -> PortResult<()> {
        self.fenced(proof, "set a quarantine", |rows, _| {
            replace(&mut rows.standing.quarantines, node, quarantine.copied());
        })
    }
}

fn replace<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, value: Option<V>) {
    match value {
        Some(value) => {
            map.insert(key.clone(), value);
        }
        None => {
            map.remove(key);
        }
    }
}

fn waiting_of(rows: &Rows, head: &HeadRequest, except: &[RepoName]) -> Vec<PendingJob> {
    let Some(demand) = rows.demand.get(&head.key) else { return Vec::new() };
    let jobs = demand.pending.iter().filter_map(|(_, id)| rows.jobs.get(id)).map(|row| &row.job);
    jobs.filter(|job| !except.contains(&job.facts.repo))
        .skip(head.skip as usize)
        .take(head.limit as usize)
        .map(PendingJob::from)
        .collect()
}

fn first_of(rows: &Rows, id: JobId) -> Option<Box<PendingJob>> {
    rows.jobs.get(&id).map(|row| Box::new(PendingJob::from(&row.job)))
}

/// Of the jobs asked for, the oldest of each share, as many as it has rows.
fn oldest_that_fit(
    mut asked: Vec<(PoolKey, PendingJob)>,
    mut shares: Vec<PoolShare>,
) -> BTreeMap<PoolKey, Vec<PendingJob>> {
    asked.sort_by_key(|(_, job)| (job.created_at, job.id));
    let mut fitting = BTreeMap::<_, Vec<_>>::new();
    for (key, job) in asked {
        let share = shares.iter_mut().find(|share| {
            share.pool == job.placement.pool && share.entity.is_none_or(|entity| entity == key.scope.entity())
        });
        match share.map(|share| &mut share.rows) {
            Some(0) => continue,
            Some(left) => *left -= 1,
            None => {}
        }
        fitting.entry(key).or_default().push(job);
    }
    fitting
}

fn doubtful(rows: &Rows, id: JobId) -> Option<DoubtfulJob> {
    let row = rows.jobs.get(&id)?;
    let runner = row.job.state.start.as_ref().and_then(|start| start.runner.as_ref());
    let worker = runner.and_then(|runner| WorkerName::new(runner.as_str()).ok());
    let worker = worker.and_then(|name| rows.workers.get(&name)).map(|row| &row.worker);
    let ours = worker.filter(|worker| worker.scope.entity == row.job.facts.entity.id);
    Some(DoubtfulJob {
        job: row.job.clone(),
        updated_at: row.updated_at,
        worker: ours.map(|worker| worker.status),
    })
}

fn reserve_one(rows: &mut Rows, counts: &mut LiveCounts, wanted: &Reservation, now: Timestamp) -> Reserved {
    if rows.workers.contains_key(&wanted.name) {
        return Reserved::NameTaken;
    }
    let key = PoolKey { scope: wanted.scope.scope(), labels: wanted.labels.clone() };
    let of_entity = counts.by_entity.get(&wanted.scope.entity).copied().unwrap_or(0);
    if wanted.entity_cap.is_some_and(|cap| of_entity >= cap) {
        return Reserved::EntityAtCap;
    }
    let of_pool = counts.by_pool.get(&wanted.pool).copied().unwrap_or(0);
    if wanted.pool_cap.is_some_and(|cap| of_pool >= cap) {
        return Reserved::PoolAtCap;
    }
    let supply = counts.unspent_by_key.get(&key).copied().unwrap_or(0);
    if supply >= rows.demand_of(&key).saturating_add(wanted.warm) {
        return Reserved::DemandMet;
    }
    let worker = wanted.row();
    counts.add(&worker, false);
    rows.put_worker(WorkerRow { worker, updated_at: now });
    if rows.changes.is_some() {
        let occupancy = rows.occupancy(wanted);
        rows.note(Change::Reserved(Box::new(occupancy)));
    }
    Reserved::Yes
}

/// Failed workers by reason.
pub(crate) fn failures_by_reason<'a>(
    workers: impl IntoIterator<Item = &'a WorkerRow>,
) -> BTreeMap<FailureReason, u64> {
    let mut failures = BTreeMap::new();
    for (reason, _) in workers.into_iter().filter_map(|row| row.worker.failure.as_ref()) {
        *failures.entry(*reason).or_default() += 1;
    }
    failures
}
