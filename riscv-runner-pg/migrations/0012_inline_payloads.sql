-- A compressed payload of usual size fits into the row of the log; beside it, it would be two more rows and an
-- index entry for every delivery.
ALTER TABLE installation_events SET (toast_tuple_target = 4080);
