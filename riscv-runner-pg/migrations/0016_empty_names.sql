-- Where the reference service knows no pod or board, it writes an empty text: that names nobody.

DROP TRIGGER name_runner ON jobs;
CREATE TRIGGER name_runner BEFORE INSERT OR UPDATE ON jobs FOR EACH ROW
    WHEN (NEW.runner_name IS NULL AND NEW.k8s_pod <> '') EXECUTE FUNCTION name_runner();

UPDATE jobs SET runner_name = NULL WHERE runner_name = '';
UPDATE workers SET k8s_node = NULL WHERE k8s_node = '';
