//! What a cycle reads, and what a leader writes.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use riscv_runner_core::{
    backoff::age,
    delivery::{IfAbsent, JobWrite},
    ids::{ImageRef, JobId, NodeName, RepoId, RepoName, WorkerName},
    job::{Job, JobEvent, JobFacts, JobPhase, Placement},
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

use super::{OwnStore, Tables};

#[async_trait]
impl SchedulingStore for OwnStore {
    async fn demand(&self) -> PortResult<BTreeMap<PoolKey, Demand>> {
        Ok(self.read(|tables| {
            let mut counts = BTreeMap::<_, Demand>::new();
            for job in tables.demand() {
                let demand = counts.entry(job.facts.key()).or_default();
                if job.state.phase == JobPhase::Running {
                    demand.running += 1;
                    continue;
                }
                demand.pending += 1;
                *demand.pending_by_pool.entry(job.placement.pool.clone()).or_default() += 1;
                let oldest = demand.oldest.map_or(job.facts.created_at, |at| at.min(job.facts.created_at));
                demand.oldest = Some(oldest);
                if demand.front.as_ref().is_none_or(|front| job.facts.created_at < front.created_at) {
                    demand.front = Some(Box::new(PendingJob::from(job)));
                }
            }
            counts
        }))
    }

    async fn waiting(
        &self,
        heads: &[HeadRequest],
        except: &[RepoName],
        shares: &[PoolShare],
    ) -> PortResult<BTreeMap<PoolKey, Vec<PendingJob>>> {
        Ok(self.read(|tables| {
            let mut asked: Vec<(&PoolKey, &Job)> = Vec::new();
            for head in heads {
                let of_key = tables.waiting().into_iter().filter(|job| job.facts.key() == head.key);
                let wanted = of_key.filter(|job| !except.contains(&job.facts.repo));
                let read = wanted.skip(head.skip as usize).take(head.limit as usize);
                asked.extend(read.map(|job| (&head.key, job)));
            }
            asked.sort_by_key(|(_, job)| (job.facts.created_at, job.facts.id));
            let (mut left, mut read) = (shares.to_vec(), BTreeMap::<_, Vec<_>>::new());
            for (key, job) in asked {
                let share = left.iter_mut().find(|share| {
                    let whose = share.entity.is_none_or(|entity| entity == key.scope.entity());
                    whose && share.pool == job.placement.pool
                });
                match share.map(|share| &mut share.rows) {
                    Some(0) => continue,
                    Some(rows) => *rows -= 1,
                    None => {}
                }
                read.entry(key.clone()).or_default().push(PendingJob::from(job));
            }
            read
        }))
    }

    async fn live_workers(&self) -> PortResult<BTreeMap<WorkerName, Worker>> {
        Ok(self.read(|tables| tables.live().map(|worker| (worker.name.clone(), worker)).collect()))
    }

    async fn workers_named(&self, names: &[WorkerName]) -> PortResult<BTreeMap<WorkerName, Worker>> {
        Ok(self.read(|tables| {
            let found = names.iter().filter_map(|name| tables.worker(name));
            found.map(|row| (row.worker.name.clone(), row.worker)).collect()
        }))
    }

    async fn scopes_of_workers(&self, since: Timestamp) -> PortResult<Vec<ScopeRef>> {
        Ok(self.read(|tables| {
            let workers = tables.workers.values().map(|row| &row.worker);
            let recent = workers.filter(|w| w.created_at >= since || w.completed_at >= Some(since));
            recent.map(|w| w.scope.clone()).collect::<BTreeSet<_>>().into_iter().collect()
        }))
    }

    async fn standing(&self) -> PortResult<Standing> {
        let now = self.platform.now();
        Ok(self.read(|tables| {
            let mut standing = tables.standing.clone();
            let live: BTreeSet<_> = tables.live().map(|worker| worker.name).collect();
            standing.controls.revoked_workers.retain(|worker, _| live.contains(worker));
            let lately = |at: &Timestamp| age(now, *at) < INSTALLATION_NEWS;
            let known = standing.installations.iter();
            let news = known.filter(|(key, _)| tables.heard.get(key).is_some_and(lately));
            standing.installations = news.map(|(key, known)| (*key, *known)).collect();
            standing
        }))
    }

    async fn reserve(&self, proof: &LeaderProof, reservations: &[Reservation]) -> PortResult<Vec<Reserved>> {
        self.fenced(proof, "reserve workers", |tables, now| {
            reservations.iter().map(|wanted| tables.reserve(wanted, now)).collect()
        })
    }

    async fn change_worker(
        &self,
        proof: &LeaderProof,
        name: &WorkerName,
        from: WorkerStatus,
        change: &WorkerChange,
    ) -> PortResult<Cas> {
        self.fenced(proof, "change a worker", |tables, now| {
            let Some(row) = tables.workers.get_mut(name) else { return Cas::Stale };
            let cas = row.worker.change(from, change);
            if cas == Cas::Done {
                row.updated_at = now;
                tables.standing.note(row.worker.key(), change);
            }
            cas
        })
    }

    async fn adopt_worker(&self, proof: &LeaderProof, worker: &Worker) -> PortResult<Cas> {
        self.fenced(proof, "adopt a worker", |tables, now| {
            if tables.workers.contains_key(&worker.name) {
                return Cas::Stale;
            }
            tables.put(worker.clone(), now);
            Cas::Done
        })
    }

    async fn join_job(&self, proof: &LeaderProof, job: JobId, event: &JobEvent) -> PortResult<JobWrite> {
        self.fenced(proof, "join a job", |tables, now| tables.join_known(job, event, now))
    }

    async fn join_listed_job(
        &self,
        proof: &LeaderProof,
        facts: &JobFacts,
        placement: &Placement,
        event: &JobEvent,
    ) -> PortResult<JobWrite> {
        self.fenced(proof, "join a listed job", |tables, now| {
            if let Some(row) = tables.jobs.get_mut(&facts.id) {
                row.job.facts.installation = facts.installation;
            }
            tables.join(facts, event, &IfAbsent::Insert(placement.clone()), now)
        })
    }

    async fn known_repos(&self, since: Timestamp) -> PortResult<Vec<KnownRepo>> {
        Ok(self.read(|tables| {
            let mut jobs: Vec<_> = tables.jobs.values().map(|row| &row.job.facts).collect();
            jobs.retain(|facts| facts.created_at >= since);
            jobs.sort_by_key(|facts| (facts.created_at, facts.id));
            let newest: BTreeMap<RepoId, &JobFacts> = jobs.into_iter().map(|f| (f.repo_id, f)).collect();
            newest.into_values().map(KnownRepo::from).collect()
        }))
    }

    async fn jobs_with_ids(&self, ids: &[JobId]) -> PortResult<Vec<Job>> {
        let job = |tables: &Tables, id| tables.jobs.get(id).map(|row| row.job.clone());
        Ok(self.read(|tables| ids.iter().filter_map(|id| job(tables, id)).collect()))
    }

    async fn doubtful_jobs(&self, query: &DoubtfulQuery) -> PortResult<DoubtfulJobs> {
        Ok(self.read(|tables| {
            let mut rows: Vec<_> = tables.jobs.values().collect();
            let place = |row: &super::JobRow| (row.updated_at, row.job.facts.id);
            rows.retain(|row| {
                let phase = row.job.state.phase;
                phase.is_demand()
                    && phase == query.phase
                    && row.updated_at < query.before
                    && query.after.is_none_or(|after| place(row) > after)
            });
            rows.sort_by_key(|row| place(row));
            rows.truncate(query.limit as usize);
            let next = rows.last().filter(|_| rows.len() == query.limit as usize).map(|row| place(row));
            let worker = |job: &Job| {
                let runner = job.state.start.as_ref()?.runner.as_ref()?;
                let mut workers = tables.workers.values().map(|row| &row.worker);
                let ran_it = workers.find(|w| runner.is(&w.name) && w.scope.entity == job.facts.entity.id);
                ran_it.map(|worker| worker.status)
            };
            let doubtful = |row: &super::JobRow| DoubtfulJob {
                job: row.job.clone(),
                updated_at: row.updated_at,
                worker: worker(&row.job),
            };
            DoubtfulJobs { jobs: rows.into_iter().map(doubtful).collect(), next }
        }))
    }

    async fn deliveries_swept(&self) -> PortResult<Option<Timestamp>> {
        Ok(self.read(|tables| tables.standing.deliveries_swept))
    }

    async fn note_deliveries_swept(&self, proof: &LeaderProof, until: Timestamp) -> PortResult<()> {
        self.fenced(proof, "note a sweep", |tables, _| {
            tables.standing.deliveries_swept = tables.standing.deliveries_swept.max(Some(until));
        })
    }

    async fn refuse_image(
        &self,
        proof: &LeaderProof,
        image: &ImageRef,
        since: Option<Timestamp>,
    ) -> PortResult<()> {
        self.fenced(proof, "mark an image", |tables, _| {
            tables.standing.refused_images.remove(image);
            tables.standing.refused_images.extend(since.map(|since| (image.clone(), since)));
        })
    }

    async fn clear_backoff(&self, proof: &LeaderProof, key: &PoolKey) -> PortResult<()> {
        self.fenced(proof, "clear a back-off", |tables, _| {
            tables.standing.backoffs.remove(key);
        })
    }

    async fn set_quarantine(
        &self,
        proof: &LeaderProof,
        node: &NodeName,
        quarantine: Option<&Quarantine>,
    ) -> PortResult<()> {
        self.fenced(proof, "set a quarantine", |tables, _| {
            tables.standing.quarantines.remove(node);
            tables.standing.quarantines.extend(quarantine.map(|held| (node.clone(), *held)));
        })
    }
}

impl Tables {
    fn put(&mut self, worker: Worker, now: Timestamp) {
        self.workers.insert(worker.name.clone(), WorkerRow { worker, updated_at: now });
    }

    /// Writes a worker's row, unless a limit stands against it: nobody else writes meanwhile.
    fn reserve(&mut self, wanted: &Reservation, now: Timestamp) -> Reserved {
        if self.workers.contains_key(&wanted.name) {
            return Reserved::NameTaken;
        }
        let (worker, live) = (wanted.row(), self.live().collect::<Vec<_>>());
        let count = |like: &dyn Fn(&Worker) -> bool| live.iter().filter(|other| like(other)).count();
        let reached = |cap: Option<u32>, n: usize| cap.is_some_and(|cap| n >= cap as usize);
        if reached(wanted.entity_cap, count(&|other| other.scope.entity == worker.scope.entity)) {
            return Reserved::EntityAtCap;
        }
        if reached(wanted.pool_cap, count(&|other| other.pool == worker.pool)) {
            return Reserved::PoolAtCap;
        }
        let key = worker.key();
        let demand = self.demand().filter(|job| job.facts.key() == key).count();
        if count(&|other| other.is_supply() && other.key() == key) >= demand + wanted.warm as usize {
            return Reserved::DemandMet;
        }
        self.put(worker, now);
        Reserved::Yes
    }
}
