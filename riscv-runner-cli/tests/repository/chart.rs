//! The Helm chart, rendered by Helm itself where it is installed, or by Helm's code as scripts/test installs it.

use std::{
    collections::BTreeSet,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use riscv_runner_k8s::RIGHTS;
use serde_json::Value;

use crate::{
    manifests::{assert_hardened, documents, lets_deliveries_pass, problems},
    root,
    secrets::{mounted, named, of_webhooks},
};

/// Renders the chart in this namespace; `None` where neither Helm nor its code is installed.
fn render(namespace: &str, values: &str) -> Option<Result<Vec<Value>, String>> {
    let chart = root().join("deploy/helm/rrctl");
    let helm = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).map(|folder| folder.join("helm")).find(|helm| helm.is_file())
    });
    let python = root().join(".deps/helm/bin/python");
    let mut command = match helm {
        Some(helm) => {
            let mut command = Command::new(helm);
            command.args(["template", "boards"]).arg(chart).args(["--namespace", namespace, "--values", "-"]);
            command
        }
        None if python.is_file() => {
            let mut command = Command::new(python);
            command.arg(root().join("scripts/render-chart")).arg(chart).args(["boards", namespace]);
            command
        }
        None => return None,
    };
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.unwrap();
    child.stdin.take().unwrap().write_all(values.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(if output.status.success() {
        Ok(documents(&String::from_utf8(output.stdout).unwrap()))
    } else {
        Err(stderr)
    })
}

/// Where nothing is rendered, scripts/test says so: what a passing test prints is hidden.
fn rendered(values: &str) -> Option<Result<Vec<Value>, String>> {
    rendered_in("rrctl", values)
}

#[expect(clippy::print_stderr, reason = "a test that cannot be made says why")]
fn rendered_in(namespace: &str, values: &str) -> Option<Result<Vec<Value>, String>> {
    let result = render(namespace, values);
    if result.is_none() {
        eprintln!(
            "the chart was not rendered: helm is not installed, and scripts/test has not installed its code"
        );
    }
    result
}

fn of_kind<'a>(objects: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

#[test]
fn what_the_chart_makes_is_what_kubernetes_describes() {
    let everything = "ingress: {enabled: true, className: nginx, tlsSecret: tls, annotations: {a: b}}\n\
                      serviceMonitor: {enabled: true, labels: {release: prometheus}, bearerTokenKey: trace.token, tlsConfig: {serverName: boards}}\n\
                      tls: {secret: boards-tls}\n\
                      image: {repository: example.org/rrctl, digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000', pullSecrets: [registry]}\n\
                      scheduler: {replicas: 3, affinity: {podAntiAffinity: {}}, extraEnv: [{name: RRCTL_LOG, value: debug}], tolerations: [{key: a, operator: Exists}], nodeSelector: {disk: ssd}}\n\
                      webhook: {extraEnv: [{name: RRCTL_LOG, value: debug}]}\n\
                      workers: {namespace: runners}\n";
    for values in ["{}", everything] {
        let Some(objects) = rendered(values) else { return };
        let objects = objects.unwrap();
        for object in &objects {
            assert_eq!(
                problems(object),
                Vec::<String>::new(),
                "{}: {}",
                object["kind"],
                object["metadata"]["name"]
            );
        }
        assert_eq!(of_kind(&objects, "Deployment").count(), 2);
        of_kind(&objects, "Deployment").for_each(assert_hardened);
        assert_eq!(of_kind(&objects, "PodDisruptionBudget").count(), 2);
    }
}

fn deployment<'a>(objects: &'a [Value], role: &str) -> &'a Value {
    let name = format!("boards-{role}");
    of_kind(objects, "Deployment").find(|found| found["metadata"]["name"] == name.as_str()).unwrap()
}

#[test]
fn webhooks_of_the_chart_get_the_secrets_that_they_read() {
    let Some(objects) = rendered("{}") else { return };
    let objects = objects.unwrap();
    let config = of_kind(&objects, "ConfigMap").next().unwrap()["data"]["rrctl.toml"].as_str().unwrap();
    let config: toml::Table = config.parse().unwrap();
    let given = mounted(deployment(&objects, "webhook")).unwrap();
    assert_eq!(given, named(&config).into_iter().filter(of_webhooks).map(|(_, file)| file).collect());
    assert_eq!(mounted(deployment(&objects, "scheduler")), None, "the scheduler reads everything");
    let more = "webhook: {secretKeys: [postgres.url, personal-webhook.secret]}";
    let objects = rendered(more).unwrap().unwrap();
    let given = mounted(deployment(&objects, "webhook")).unwrap();
    assert_eq!(given, ["personal-webhook.secret".to_owned(), "postgres.url".to_owned()].into());
}

#[test]
fn behind_the_ingress_of_the_chart_each_visitor_is_counted() {
    for (values, expected) in [("{}", None), ("ingress: {enabled: true}", Some("true"))] {
        let Some(objects) = rendered(values) else { return };
        let objects = objects.unwrap();
        for role in ["webhook", "scheduler"] {
            let env = &deployment(&objects, role)["spec"]["template"]["spec"]["containers"][0]["env"];
            let set = env.as_array().into_iter().flatten();
            let mut proxy = set.filter(|variable| variable["name"] == "RRCTL_SERVER__BEHIND_PROXY");
            assert_eq!(proxy.next().and_then(|variable| variable["value"].as_str()), expected, "{role}");
        }
    }
}

#[test]
fn pods_that_speak_tls_are_asked_by_tls() {
    let everybody = "ingress: {enabled: true, annotations: {a: b}}\nserviceMonitor: {enabled: true}\n";
    for (values, scheme) in [("", None), ("tls: {secret: boards-tls}\n", Some("HTTPS"))] {
        let Some(objects) = rendered(&format!("{everybody}{values}")) else { return };
        let objects = objects.unwrap();
        for role in ["webhook", "scheduler"] {
            let pod = &deployment(&objects, role)["spec"]["template"]["spec"];
            let container = &pod["containers"][0];
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                assert_eq!(container[probe]["httpGet"]["scheme"].as_str(), scheme, "{role}: {probe}");
            }
            let set = |name: &str| {
                let env = container["env"].as_array().into_iter().flatten();
                let mut values = env.filter(|variable| variable["name"] == name);
                values.next().and_then(|variable| variable["value"].as_str())
            };
            let files = [set("RRCTL_SERVER__TLS_CERTIFICATE"), set("RRCTL_SERVER__TLS_PRIVATE_KEY_FILE")];
            let expected = ["/run/secrets/tls/tls.crt", "/run/secrets/tls/tls.key"];
            assert_eq!(files, expected.map(|file| scheme.map(|_| file)), "{role}");
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == "tls");
            assert_eq!(volume.and_then(|v| v["secret"]["secretName"].as_str()), scheme.map(|_| "boards-tls"));
            let mounts = container["volumeMounts"].as_array().unwrap();
            let mount = mounts.iter().find(|mount| mount["name"] == "tls");
            assert_eq!(mount.and_then(|m| m["mountPath"].as_str()), scheme.map(|_| "/run/secrets/tls"));
        }
        for service in of_kind(&objects, "Service") {
            let protocol = service["spec"]["ports"][0]["appProtocol"].as_str();
            assert_eq!(protocol, scheme.map(|_| "https"));
        }
        let endpoint = &of_kind(&objects, "ServiceMonitor").next().unwrap()["spec"]["endpoints"][0];
        assert_eq!(endpoint["scheme"].as_str(), scheme.map(|_| "https"));
        assert_eq!(endpoint["tlsConfig"]["insecureSkipVerify"].as_bool(), scheme.map(|_| true));
        let annotations = &of_kind(&objects, "Ingress").next().unwrap()["metadata"]["annotations"];
        assert_eq!(annotations["nginx.ingress.kubernetes.io/backend-protocol"].as_str(), scheme);
        assert_eq!(annotations["a"], "b");
    }
}

#[test]
fn a_configuration_that_speaks_tls_behind_the_back_of_the_chart_is_refused() {
    let config = "config: |\n  [server]\n  tls_certificate = \"/run/secrets/rrctl/tls.crt\"\n";
    let Some(outcome) = rendered(config) else { return };
    let refusal = outcome.unwrap_err();
    assert!(refusal.contains("name the Secret in tls.secret instead"), "{refusal}");
}

#[test]
fn the_ingress_of_the_chart_lets_the_largest_deliveries_pass() {
    for values in ["ingress: {enabled: true}", "ingress: {enabled: true, annotations: {a: b}}"] {
        let Some(objects) = rendered(values) else { return };
        of_kind(&objects.unwrap(), "Ingress").for_each(lets_deliveries_pass);
    }
}

#[test]
fn releases_of_one_name_in_two_namespaces_do_not_meet() {
    let mut seen = BTreeSet::new();
    for namespace in ["prod", "staging"] {
        let Some(objects) = rendered_in(namespace, &format!("workers: {{namespace: {namespace}-workers}}"))
        else {
            return;
        };
        let objects = objects.unwrap();
        for object in &objects {
            let metadata = &object["metadata"];
            let place = metadata["namespace"].as_str().unwrap_or_default();
            let key = format!("{} {place}/{}", object["kind"], metadata["name"]);
            assert!(seen.insert(key.clone()), "both releases own {key}");
        }
        let binding = of_kind(&objects, "ClusterRoleBinding").next().unwrap();
        let role = of_kind(&objects, "ClusterRole").next().unwrap();
        assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
        assert_eq!(binding["subjects"][0]["namespace"], namespace);
    }
}

#[test]
fn the_chart_grants_the_rights_and_no_more() {
    for (values, advertises) in [("{}", true), ("rbac: {advertiseBoards: false}", false)] {
        let Some(objects) = rendered(values) else { return };
        let objects = objects.unwrap();
        let mut granted = BTreeSet::new();
        for (kind, namespaced) in [("Role", true), ("ClusterRole", false)] {
            for rule in of_kind(&objects, kind).flat_map(|role| role["rules"].as_array().unwrap()) {
                let texts = |field: &str| {
                    let items = rule[field].as_array().unwrap().iter();
                    items.map(|item| item.as_str().unwrap().to_owned()).collect::<Vec<_>>()
                };
                for resource in texts("resources") {
                    granted
                        .extend(texts("verbs").into_iter().map(|verb| (verb, resource.clone(), namespaced)));
                }
            }
        }
        let wanted = RIGHTS.iter().filter(|right| advertises || right.resource != "nodes/status");
        let wanted: BTreeSet<_> = wanted
            .map(|right| (right.verb.to_owned(), right.resource.to_owned(), right.namespaced))
            .collect();
        assert_eq!(granted, wanted);
    }
}

#[test]
fn values_that_the_chart_does_not_know_are_refused() {
    for bad in [
        "webhok: {replicas: 3}",
        "webhook: {replicas: 0}",
        "image: {digest: latest}",
        "service: {port: many}",
        "webhook: {secretKeys: []}",
        "tls: {enabled: true}",
    ] {
        let Some(outcome) = rendered(bad) else { return };
        assert!(outcome.is_err(), "{bad}");
    }
}

#[test]
fn the_configuration_of_the_chart_is_accepted() {
    let Some(objects) = rendered("{}") else { return };
    let objects = objects.unwrap();
    let map = of_kind(&objects, "ConfigMap").next().unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let path: PathBuf = folder.path().join("rrctl.toml");
    std::fs::write(&path, map["data"]["rrctl.toml"].as_str().unwrap()).unwrap();
    let check = Command::new(env!("CARGO_BIN_EXE_rrctl"))
        .args(["config", "check", "--config"])
        .arg(path)
        .env_clear()
        .output();
    let check = check.unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}
