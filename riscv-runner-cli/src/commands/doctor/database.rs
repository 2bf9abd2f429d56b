//! The database: its version, its schema, our rights, its clock.

use jiff::SignedDuration;
use riscv_runner_core::ports::Platform;
use riscv_runner_pg::{Inspection, OLDEST_SERVER, PgConfig, inspect, pending_migrations};

use super::{Finding, clock};
use crate::{config::Config, failure::count, platform::TokioPlatform, wire};

/// A lease ends by the server's clock, and rows are dated by both.
const TOLERATED: SignedDuration = SignedDuration::from_secs(2);

/// Checks the database.
pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let names = ["database version", "database migrations", "database rights", "database clock"];
    let Ok(pg) = wire::store_config(config, false) else {
        let fix = "set [store] url_file to a file that exists on this machine, or set RRCTL_STORE__URL";
        let failed = Finding::fail(names[0], "no database URL is available here", fix);
        let rest = names[1..].iter().map(|name| Finding::skipped(*name, "no database is known"));
        return [failed].into_iter().chain(rest).collect();
    };
    let inspection = match inspect(&pg, || TokioPlatform.now()).await {
        Ok(inspection) => inspection,
        Err(error) => {
            let fix = "fix [store] url or the server, as the finding says";
            let failed = Finding::fail(names[0], error.chain(), fix);
            let rest =
                names[1..].iter().map(|name| Finding::skipped(*name, "the database cannot be reached"));
            return [failed].into_iter().chain(rest).collect();
        }
    };
    vec![
        version(names[0], &inspection),
        migrations(names[1], &pg, &inspection).await,
        rights(names[2], &pg, &inspection),
        clock(names[3], inspection.clock_ahead, TOLERATED),
    ]
}

fn version(check: &str, found: &Inspection) -> Finding {
    let text = format!("PostgreSQL {} at {}", found.version, found.place);
    if found.version_number >= OLDEST_SERVER {
        return Finding::ok(check, text);
    }
    Finding::fail(
        check,
        text,
        format!("upgrade the server to PostgreSQL {} or later", OLDEST_SERVER / 10_000),
    )
}

async fn migrations(check: &str, pg: &PgConfig, found: &Inspection) -> Finding {
    // What the role may not look into seems to be empty.
    if found.has_schema && !found.has_usage {
        return Finding::skipped(check, format!("{} may not access schema {}", found.role, pg.schema));
    }
    match pending_migrations(pg).await {
        Ok(pending) if pending.is_empty() => {
            Finding::ok(check, format!("schema {} is up to date", pg.schema))
        }
        Ok(pending) => {
            let lacks = format!("schema {} lacks {}", pg.schema, count(pending.len(), "migration"));
            Finding::fail(check, lacks, "rrctl migrate")
        }
        Err(error) => Finding::fail(check, error.chain(), "run the program that migrated the schema"),
    }
}

fn rights(check: &str, pg: &PgConfig, found: &Inspection) -> Finding {
    let (schema, role) = (&pg.schema, &found.role);
    if !found.has_schema {
        return Finding::skipped(check, format!("there is no schema {schema} yet"));
    }
    if found.missing_rights.is_empty() {
        return Finding::ok(check, format!("{role} may use every table and sequence of {schema}"));
    }
    let lacking =
        found.missing_rights.iter().map(|(table, rights)| format!("{} on {table}", rights.join(", ")));
    let text = format!("{role} lacks {}", lacking.collect::<Vec<_>>().join("; "));
    let fix = format!(
        "GRANT USAGE ON SCHEMA {schema} TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}; \
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
    );
    Finding::fail(check, text, fix)
}
