//! `[telemetry]`: what is read of it, and what is refused; by a binary that cannot trace, all of it.

use secrecy::ExposeSecret;

use super::{Folder, SMALL};

const HEADERS: &str = "authorization=Bearer%20planted,x-scope=a=b";

fn with(section: &str) -> Folder {
    Folder::with(&format!("{SMALL}[telemetry]\n{section}\n"))
}

#[test]
fn without_the_section_nothing_is_sent() {
    assert!(Folder::with(SMALL).load(&[]).unwrap().telemetry.collector.is_none());
}

#[test]
fn what_is_read_is_what_was_set_and_the_headers_are_secret() {
    let folder = with("otlp_endpoint = \"http://collector:4318\"\nsample_ratio = 0.25");
    let variables = [("RRCTL_TELEMETRY__OTLP_HEADERS", HEADERS)];
    if !cfg!(feature = "otel") {
        let problems = folder.problems(&variables);
        assert!(problems.contains("telemetry.otlp_endpoint: this rrctl was built without"), "{problems}");
        return;
    }
    let config = folder.load(&variables).unwrap();
    let collector = config.telemetry.collector.as_ref().unwrap();
    assert_eq!((collector.endpoint.as_str(), collector.sample_ratio), ("http://collector:4318", 0.25));
    assert_eq!(collector.headers.as_ref().unwrap().expose_secret(), HEADERS);
    let told = format!("{:?} {:?}", config.telemetry, config.shown);
    assert!(told.contains("(set)") && !told.contains("planted"), "{told}");
}

#[test]
fn what_cannot_be_meant_is_refused_without_its_secrets() {
    for (section, told) in [
        ("otlp_endpoint = \"collector:4318\"", "telemetry.otlp_endpoint: must be a URL"),
        ("otlp_endpoint = \"http://me:planted@collector\"", "telemetry.otlp_endpoint: must not hold a user"),
        (
            "otlp_headers = \"planted\"",
            "telemetry.otlp_headers: must be name=value (7 characters were given)",
        ),
        ("otlp_headers = \"a=1, =planted\"", "telemetry.otlp_headers: must be name=value"),
        ("sample_ratio = 1.5", "telemetry.sample_ratio: must be a number from 0 to 1, not 1.5"),
        ("sample_ratio = -1", "telemetry.sample_ratio: must be a number from 0 to 1, not -1"),
        ("sample_ratio = \"half\"", "telemetry.sample_ratio: must be a number from 0 to 1, not text"),
        ("endpoint = \"http://collector\"", "telemetry.endpoint: unknown key"),
    ] {
        let problems = with(section).problems(&[]);
        assert!(problems.contains(told), "{section}: {problems}");
        assert!(!problems.contains("planted"), "{problems}");
    }
}

#[test]
fn a_share_may_be_written_in_each_way() {
    for ratio in ["0", "1", "0.5", "1.0"] {
        let problems =
            with(&format!("sample_ratio = {ratio}")).problems(&[("RRCTL_TELEMETRY__SAMPLE_RATIO", ratio)]);
        assert!(!problems.contains("must be"), "{problems}");
    }
}

#[test]
fn what_would_have_no_effect_is_told() {
    let problems = with("sample_ratio = 0.5").problems(&[]);
    let told = if cfg!(feature = "otel") {
        "warning: rrctl.toml:18: telemetry.sample_ratio: nothing is sent without otlp_endpoint"
    } else {
        "telemetry.sample_ratio: this rrctl was built without OpenTelemetry"
    };
    assert!(problems.contains(told), "{problems}");
}
