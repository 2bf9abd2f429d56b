//! Variables over the file, and what is told of those that are wrong.

use std::time::Duration;

use riscv_runner_core::policy::Cap;

use super::{Folder, KEY, SMALL};

#[test]
fn problems_do_not_repeat_what_people_put_tokens_into() {
    let folder = Folder::with(&format!("{SMALL}[server]\nstaging_url = \"https://me:planted@x/\"\n"));
    let problems = folder.problems(&[
        ("RRCTL_POOLS__0__POD__ENV", "planted"),
        ("RRCTL_GITHUB__API_URL", "https://planted@api.example"),
    ]);
    for key in [
        "pools[0].pod.env: must be a table of texts",
        "server.staging_url: must not",
        "github.api_url: must not",
    ] {
        assert!(problems.contains(key), "{problems}");
    }
    let one = folder.problems(&[("RRCTL_POOLS__0__POD__ENV", "{ TOKEN = [\"planted\"] }")]);
    assert!(one.contains("pools[0].pod.env.TOKEN: must be text, not a list"), "{one}");
    assert!(!problems.contains("planted") && !one.contains("planted"), "{problems}{one}");
    for url in ["https://x/@home", "https://x?to=me@x", "http://x#@"] {
        assert!(!folder.problems(&[("STAGING_URL", url)]).contains("server.staging_url"), "{url}");
    }
}

#[test]
fn variables_win_over_the_file_and_ours_over_those_of_the_reference_service() {
    let folder = Folder::with(SMALL);
    let config = folder
        .load(&[
            ("RRCTL_SERVER__LISTEN", "127.0.0.1:1"),
            ("RRCTL_TIMEOUTS__TICK", "1500ms"),
            ("RRCTL_LIMITS__DEFAULT_MAX_WORKERS", "unlimited"),
            ("RRCTL_POOLS__0__IMAGE", "runner:2"),
            ("RRCTL_ROUTES__0__LABELS", "riscv, fast"),
            ("RRCTL_ENTITIES", "[{ id = 9, banned = true }]"),
            ("RRCTL_ENTITIES__0__MAX_WORKERS", "3"),
            ("POSTGRES_URL", "postgres://reference"),
            ("RRCTL_STORE__URL", "postgres://ours"),
            ("LOGLEVEL", "WARNING"),
            ("GHAPP_WEBHOOK_SECRET", "one, with a comma"),
        ])
        .unwrap();
    assert_eq!(config.server.listen.port(), 1);
    assert_eq!(config.policy.timeouts.tick, Duration::from_millis(1500));
    assert_eq!(config.policy.limits.default_max_workers, Cap::Unlimited);
    assert_eq!(config.policy.pools.values().next().unwrap().image.as_str(), "runner:2");
    assert_eq!(config.policy.routes[0].labels.key(), "fast,riscv");
    let special = config.policy.entities.values().next().unwrap();
    assert!(special.banned && special.max_workers == Some(Cap::AtMost(3)));
    assert_eq!(config.server.log, "warn");
    use secrecy::ExposeSecret;
    assert_eq!(config.store.url.unwrap().expose_secret(), "postgres://ours");
    let secrets: Vec<_> = config.github.webhook_secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["one, with a comma"]);
}

#[test]
fn variables_reach_every_item_of_a_list_and_every_name_of_the_operators_own() {
    let folder = Folder::with(SMALL);
    let routes: Vec<_> = (1..=11)
        .flat_map(|n| {
            let key = |key: &str| format!("RRCTL_ROUTES__{n}__{key}");
            [(key("LABELS"), format!("board-{n}")), (key("POOL"), "k1".to_owned())]
        })
        .collect();
    let mut variables: Vec<_> = routes.iter().map(|(name, text)| (&**name, &**text)).collect();
    variables.extend([
        ("RRCTL_POOLS__0__POD__ENV__HTTP_PROXY", "http://proxy"),
        ("RRCTL_POOLS__0__POD__ENV__RUST__Threads", "8"),
        ("RRCTL_POOLS__0__POD__LABELS__app.kubernetes.io/Part", "ci"),
        ("RRCTL_POOLS__0__NODE_SELECTOR__example.org/Kind", "true"),
    ]);
    let config = folder.load(&variables).unwrap_or_else(|problems| panic!("{problems:?}"));
    let labels = |n: usize| config.policy.routes[n].labels.key().to_owned();
    assert_eq!(
        (config.policy.routes.len(), labels(2), labels(10)),
        (12, "board-2".into(), "board-10".into())
    );
    let template = config.pools.templates.values().next().unwrap();
    let env: Vec<_> = template.template.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(env, [("HTTP_PROXY", "http://proxy"), ("RUST__Threads", "8")]);
    assert_eq!(template.template.labels["app.kubernetes.io/Part"], "ci");
    assert_eq!(template.node_selector["example.org/Kind"], "true");
}

#[test]
fn the_variables_of_the_reference_service_suffice_for_its_secrets() {
    let policy = SMALL.split("[[pools]]").nth(1).unwrap();
    let folder = Folder::with(&format!(
        "[[github.apps]]\nkind = \"organization\"\napp_id = 1\n\
         [[github.apps]]\nkind = \"user\"\napp_id = 2\n[[pools]]{policy}"
    ));
    let config = folder
        .load(&[
            ("POSTGRES_URL", "postgres://reference"),
            ("GHAPP_WEBHOOK_SECRET", "secret"),
            ("GHAPP_ORG_PRIVATE_KEY", KEY),
            ("GHAPP_PERSONAL_PRIVATE_KEY", KEY),
            ("LOGLEVEL", "DEBUG"),
        ])
        .unwrap();
    assert!(config.store.url.is_some());
    assert!(config.github.apps.iter().all(|app| app.private_key.is_some()));
    assert_eq!(config.server.log, "debug");
}

#[test]
fn a_variable_wins_over_the_file_whichever_way_either_names_a_secret() {
    use secrecy::ExposeSecret;
    let text = SMALL.replace("url = \"postgres://user:planted-password@localhost/db\"", "url_file = \"url\"");
    let folder = Folder::with(&format!(
        "{text}[server]\ntrace_secret = \"of the file\"\n[cluster]\nkubeconfig = \"config\"\n"
    ));
    let token = folder.0.path().join("token");
    std::fs::write(&token, "of the variable").unwrap();
    let config = folder
        .load(&[
            ("RRCTL_STORE__URL", "postgres://variable"),
            ("RRCTL_SERVER__TRACE_SECRET_FILE", token.to_str().unwrap()),
            ("RRCTL_CLUSTER__KUBECONFIG_TEXT", "apiVersion: v1"),
        ])
        .unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(config.store.url.unwrap().expose_secret(), "postgres://variable");
    assert_eq!(config.server.trace_secret.unwrap().expose_secret(), "of the variable");
    assert!(matches!(config.cluster.source, riscv_runner_k8s::KubeconfigSource::Text(_)));
    let both = [("RRCTL_STORE__URL", "postgres://a"), ("RRCTL_STORE__URL_FILE", "b")];
    assert!(folder.problems(&both).contains("store.url_file: is set beside store.url"));
}

#[test]
fn a_variable_with_single_underscores_is_told_of() {
    let folder = Folder::with(SMALL);
    let config = folder
        .load(&[
            ("RRCTL_SERVER_LISTEN", "127.0.0.1:1"),
            ("RRCTL_LIMITS_POLICY", "x"),
            ("RRCTL_SERVICE_HOST", "10.0.0.1"),
            ("RRCTL_PORT", "tcp://10.0.0.1:80"),
        ])
        .unwrap();
    let told: Vec<_> =
        config.warnings.iter().map(|warning| format!("{warning}; {:?}", warning.hint)).collect();
    let told = told.join("\n");
    assert!(told.contains("RRCTL_SERVER_LISTEN: server.listen: is not set by this variable"), "{told}");
    assert!(told.contains("two underscores: RRCTL_SERVER__LISTEN"), "{told}");
    assert!(told.contains("RRCTL_LIMITS__POLICY"), "{told}");
    assert!(!told.contains("SERVICE_HOST") && !told.contains("RRCTL_PORT"), "{told}");
}

#[test]
fn a_level_of_the_log_is_one() {
    let folder = Folder::with(SMALL);
    for (level, filter) in [
        ("CRITICAL", "error"),
        ("FATAL", "error"),
        ("WARNING", "warn"),
        ("NOTSET", "trace"),
        ("Info", "info"),
    ] {
        assert_eq!(folder.load(&[("LOGLEVEL", level)]).unwrap().server.log, filter);
    }
    for name in ["LOGLEVEL", "RRCTL_LOG", "RRCTL_SERVER__LOG"] {
        let problems = folder.problems(&[(name, "verbose")]);
        assert!(problems.contains("server.log: is no level; levels are off, error"), "{name}: {problems}");
    }
    let filter = "info,riscv_runner_core=debug";
    assert_eq!(folder.load(&[("RRCTL_LOG", filter)]).unwrap().server.log, filter);
}
