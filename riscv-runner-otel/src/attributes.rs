//! Facts as attributes: OpenTelemetry's conventions for CI/CD, version control and Kubernetes where they
//! have a name, else names of our own below `riscv_runner.`.

use riscv_runner_core::spans::{Fact, Span, Subject};

use crate::wire::{AnyValue, ArrayValue, KeyValue, Value};

/// What is known of a span, as attributes with one value each.
pub(crate) fn of_span(span: &Span) -> Vec<KeyValue> {
    let mut attributes = vec![attribute("vcs.provider.name", AnyValue::text("github"))];
    if let Subject::Job(id) = &span.subject {
        attributes.push(attribute("cicd.pipeline.task.run.id", AnyValue::text(id.to_string())));
    }
    attributes.extend(span.facts.iter().flat_map(of_fact));
    if let Some(trouble) = &span.trouble {
        attributes.push(attribute("error.type", AnyValue::text(trouble.kind())));
    }
    attributes
}

/// One attribute.
pub(crate) fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value) }
}

fn of_fact(fact: &Fact) -> Vec<KeyValue> {
    let one = |key: &str, text: &str| vec![attribute(key, AnyValue::text(text))];
    match fact {
        Fact::Run(id) => one("cicd.pipeline.run.id", &id.to_string()),
        Fact::JobName(name) => one("cicd.pipeline.task.name", name),
        Fact::Page(url) => one("cicd.pipeline.task.run.url.full", url),
        Fact::Account(login) => one("vcs.owner.name", login.as_str()),
        Fact::Repository(repo) => {
            let full = repo.as_str();
            let short = full.rsplit('/').next().unwrap_or(full);
            [one("vcs.repository.name", short), one("riscv_runner.repository", full)].concat()
        }
        Fact::Labels(labels) => {
            let values = labels.originals().into_iter().map(AnyValue::text).collect();
            let list = AnyValue { value: Some(Value::List(ArrayValue { values })) };
            vec![attribute("riscv_runner.labels", list)]
        }
        Fact::Attempt(n) => {
            let number = AnyValue { value: Some(Value::Number(i64::from(*n))) };
            vec![attribute("riscv_runner.attempt", number)]
        }
        Fact::Conclusion(conclusion) => {
            let known = result(conclusion).map(|result| one("cicd.pipeline.task.run.result", result));
            [one("riscv_runner.conclusion", conclusion), known.unwrap_or_default()].concat()
        }
        Fact::Runner(name) => one("cicd.worker.name", name.as_str()),
        Fact::Worker(name) => one("cicd.worker.name", name.as_str()),
        Fact::Pool(name) => one("riscv_runner.pool", name.as_str()),
        Fact::Image(image) => one("riscv_runner.image", image.as_str()),
        Fact::Node(name) => one("k8s.node.name", name.as_str()),
        Fact::Ended(reason) => one("riscv_runner.reason", reason.as_str()),
        Fact::Delivery(guid) => one("riscv_runner.delivery.guid", guid.as_str()),
        Fact::Event(event) => one("riscv_runner.delivery.event", event),
        Fact::Outcome(outcome) => one("riscv_runner.delivery.outcome", outcome.as_str()),
    }
}

/// The convention's word for GitHub's conclusion, where it has one.
fn result(conclusion: &str) -> Option<&'static str> {
    Some(match conclusion {
        "success" | "neutral" => "success",
        "failure" => "failure",
        "startup_failure" => "error",
        "timed_out" => "timeout",
        "cancelled" | "stale" => "cancellation",
        "skipped" => "skip",
        _ => return None,
    })
}
