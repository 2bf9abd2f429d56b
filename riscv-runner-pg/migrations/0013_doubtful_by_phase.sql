-- Those that run are read apart from those that wait: a backlog must not hide them.
CREATE INDEX jobs_doubtful ON jobs (status, updated_at, job_id) WHERE status IN ('pending', 'running');
DROP INDEX jobs_unchanged;
