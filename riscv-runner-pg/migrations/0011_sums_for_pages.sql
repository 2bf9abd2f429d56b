-- What pages sum up: jobs by their end, and queued jobs that no rule knew.

CREATE INDEX jobs_ended ON jobs (job_completed_at) WHERE job_completed_at IS NOT NULL;
CREATE INDEX installation_events_unrouted ON installation_events (received_at DESC, id DESC)
    WHERE outcome = 'ignored_no_label';
