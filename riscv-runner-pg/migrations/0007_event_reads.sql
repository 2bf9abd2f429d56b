-- Reading the event log: by account, by installation, by job and as a whole, each newest first without a
-- sort; and what was told about installations, which is little and is read whole.
-- Each index takes the place of one that begins as it does.

CREATE INDEX installation_events_newest ON installation_events (received_at DESC, id DESC);
DROP INDEX IF EXISTS installation_events_received;

CREATE INDEX installation_events_of_entity ON installation_events (entity_id, received_at DESC, id DESC);
DROP INDEX IF EXISTS installation_events_entity_received;

CREATE INDEX installation_events_of_installation
    ON installation_events (installation_id, received_at DESC, id DESC);
DROP INDEX IF EXISTS installation_events_installation_entity;

-- As text: a payload that holds anything else must not fail the delivery.
CREATE INDEX installation_events_of_job
    ON installation_events ((payload #>> '{workflow_job,id}'), received_at DESC, id DESC)
    WHERE event LIKE 'workflow_job%';

CREATE INDEX installation_events_history
    ON installation_events (entity_id, received_at)
    WHERE source = 'scheduler' OR event LIKE 'installation%';
CREATE INDEX installation_events_history_of_installation
    ON installation_events (installation_id, received_at)
    WHERE source = 'scheduler' OR event LIKE 'installation%';
