//! A request's spans as tests look at them, and what is wrong with them by OTLP's rules.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};

/// A span that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentSpan {
    /// Its trace, in hexadecimal digits.
    pub trace_id: String,
    /// Its id, in hexadecimal digits.
    pub span_id: String,
    /// The id of the span above it.
    pub parent: Option<String>,
    /// Its name.
    pub name: String,
    /// `INTERNAL`, `SERVER`, `CLIENT`, ….
    pub kind: String,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended, in nanoseconds since 1970.
    pub ended: u64,
    /// Its attributes; those that are no text as people would write them.
    pub attributes: BTreeMap<String, String>,
    /// What went wrong, if its status says that something did.
    pub error: Option<String>,
    /// The attributes of who sent it.
    pub resource: BTreeMap<String, String>,
    /// Name and version of what made it.
    pub scope: (String, String),
}

/// The spans of a request, and what is wrong with them.
pub(super) fn read(request: &ExportTraceServiceRequest) -> (Vec<SentSpan>, Vec<String>) {
    let (mut spans, mut violations) = (Vec::new(), Vec::new());
    for of_resource in &request.resource_spans {
        let sender = of_resource.resource.as_ref().map(|resource| resource.attributes.as_slice());
        let resource = attributes(sender.unwrap_or_default(), &mut violations);
        for of_scope in &of_resource.scope_spans {
            let scope = of_scope.scope.clone().unwrap_or_default();
            for span in &of_scope.spans {
                violations.extend(problems(span).map(|problem| format!("{}: {problem}", span.name)));
                spans.push(SentSpan {
                    trace_id: hex::encode(&span.trace_id),
                    span_id: hex::encode(&span.span_id),
                    parent: (!span.parent_span_id.is_empty()).then(|| hex::encode(&span.parent_span_id)),
                    name: span.name.clone(),
                    kind: span.kind().as_str_name().trim_start_matches("SPAN_KIND_").to_owned(),
                    began: span.start_time_unix_nano,
                    ended: span.end_time_unix_nano,
                    attributes: attributes(&span.attributes, &mut violations),
                    error: error(span),
                    resource: resource.clone(),
                    scope: (scope.name.clone(), scope.version.clone()),
                });
            }
        }
    }
    (spans, violations)
}

fn error(span: &Span) -> Option<String> {
    let status = span.status.as_ref()?;
    (status.code() == StatusCode::Error).then(|| status.message.clone())
}

fn problems(span: &Span) -> impl Iterator<Item = &'static str> {
    let is_id = |id: &[u8], length| id.len() == length && id.iter().any(|byte| *byte != 0);
    let parent = &span.parent_span_id;
    [
        (!is_id(&span.trace_id, 16), "the trace's id is none"),
        (!is_id(&span.span_id, 8), "the span's id is none"),
        (!parent.is_empty() && !is_id(parent, 8), "the parent's id is none"),
        (*parent == span.span_id, "it is its own parent"),
        (span.name.is_empty(), "it has no name"),
        (span.kind() == SpanKind::Unspecified, "it has no kind"),
        (span.start_time_unix_nano == 0, "it never began"),
        (span.end_time_unix_nano < span.start_time_unix_nano, "it ended before it began"),
    ]
    .into_iter()
    .filter_map(|(is_wrong, problem)| is_wrong.then_some(problem))
}

fn attributes(all: &[KeyValue], violations: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut read = BTreeMap::new();
    for KeyValue { key, value, .. } in all {
        let Some(text) = value.as_ref().and_then(shown) else {
            violations.push(format!("attribute {key} has no value"));
            continue;
        };
        if read.insert(key.clone(), text).is_some() {
            violations.push(format!("attribute {key} is there twice"));
        }
    }
    read
}

fn shown(value: &AnyValue) -> Option<String> {
    Some(match value.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::ArrayValue(list) => {
            let items: Vec<_> = list.values.iter().filter_map(shown).collect();
            format!("[{}]", items.join(", "))
        }
        other @ (Value::KvlistValue(_) | Value::BytesValue(_) | Value::StringValueStrindex(_)) => {
            format!("{other:?}")
        }
    })
}
