//! Asking a server: what is wrong with how it is asked is said before, and what the server says is not hidden.

use serde_json::{Value, json};

use crate::{foreign::server, run::Folder};

fn asked(folder: &Folder, status: u16, body: &Value, arguments: &[&str]) -> String {
    folder.rrctl(&[arguments, &["--server", &server(status, body)]].concat())
}

#[test]
fn an_address_that_is_none_is_usage() {
    let folder = Folder::new();
    for address in ["localhost:18080", "ci.example", "ftp://ci.example", "unix:/run/x"] {
        let told = folder.rrctl(&["queue", "--server", address]);
        assert!(
            told.starts_with("exit: 2\n") && told.contains("must begin with https:// or http://"),
            "{told}"
        );
    }
}

#[test]
fn a_file_without_a_token_is_blamed_and_not_the_server() {
    let folder = Folder::new();
    folder.write("token", "two words\n");
    folder.write("empty", "\n");
    for (file, what) in [("empty", "--token-file empty: is empty"), ("token", "more than one word")] {
        let told = asked(&folder, 200, &json!({}), &["queue", "--token-file", file]);
        assert!(told.starts_with("exit: 2\n") && told.contains(what), "{told}");
    }
}

#[test]
fn the_servers_own_hint_is_told_where_it_has_one() {
    let folder = Folder::new();
    folder.write("token", "secret\n");
    let nobody = json!({ "error": "nobody is known", "hint": "check the spelling" });
    let trace = ["trace", "--entity-name", "nobody", "--token-file", "token"];
    let told = asked(&folder, 404, &nobody, &trace);
    assert!(told.contains("hint: check the spelling") && !told.contains("trace_secret"), "{told}");
    let told = asked(&folder, 404, &json!({ "error": "no such page" }), &trace);
    assert!(told.contains("hint: traces are served where [server] trace_secret is set"), "{told}");
    let unknown = json!({ "error": "no job 7 is known", "hint": "shown after signing in" });
    let told = asked(&folder, 404, &unknown, &["why", "7"]);
    assert!(told.contains("--token-file") && !told.contains("signing in"), "{told}");
    let told = asked(&folder, 404, &unknown, &["why", "7", "--token-file", "token"]);
    assert!(told.contains("`rrctl trace --job-id 7`"), "{told}");
}

#[test]
fn a_name_that_nothing_has_is_told_of() {
    let folder = Folder::new();
    let nothing = json!({ "total_count": 0, "page": 0, "per_page": 100, "jobs": [], "pools": {
        "spacemit-k1": { "jobs_pending": 0, "jobs_running": 0, "workers_pending": 0, "workers_running": 0 } },
        "as_of": "2026-11-21T12:00:00Z" });
    let told = asked(&folder, 200, &nothing, &["jobs", "--pool", "spacemit-k2"]);
    assert!(
        told.contains("warning: there is no pool spacemit-k2\n  hint: did you mean spacemit-k1?"),
        "{told}"
    );
    assert!(!asked(&folder, 200, &nothing, &["jobs", "--pool", "spacemit-k1"]).contains("warning"));
    let told = folder.rrctl(&["deliveries", "list", "--outcome", "job_store"]);
    assert!(told.starts_with("exit: 2\n") && told.contains("job_stored"), "{told}");
}

#[test]
fn a_page_says_which_rows_it_has() {
    let folder = Folder::new();
    let page =
        json!({ "total_count": 5, "page": 2, "per_page": 2, "jobs": [], "as_of": "2026-11-21T12:00:00Z" });
    let told = asked(&folder, 200, &page, &["jobs", "--per-page", "2", "--page", "3"]);
    assert!(told.contains("no rows on page 3; there are 5"), "{told}");
}
