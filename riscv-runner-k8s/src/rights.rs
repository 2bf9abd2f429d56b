//! What the adapter must be allowed to do in the cluster, and whether it is. It checks; it never grants.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, api::PostParams};
use riscv_runner_core::ports::PortResult;

use crate::{api_error::within, connect::Connection};

/// How long to wait for an answer: an operator is waiting.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// One right: a verb on a resource of the core group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// The verb, as in RBAC rules.
    pub verb: &'static str,
    /// The resource, with its subresource where it has one: `pods/log`.
    pub resource: &'static str,
    /// Whether it is needed in the workers' namespace alone, or for the whole cluster.
    pub namespaced: bool,
    /// What does not work without it.
    pub purpose: &'static str,
}

const fn right(verb: &'static str, resource: &'static str, namespaced: bool, purpose: &'static str) -> Right {
    Right { verb, resource, namespaced, purpose }
}

/// Every right that the adapter uses.
pub const RIGHTS: &[Right] = &[
    right("list", "pods", true, "seeing workers"),
    right("watch", "pods", true, "seeing workers"),
    right("get", "pods", true, "diagnosing workers and finding one that was created already"),
    right("create", "pods", true, "starting workers"),
    right("patch", "pods", true, "ending workers through their kubelet"),
    right("delete", "pods", true, "removing workers"),
    right("get", "pods/log", true, "keeping the logs of failed workers"),
    right("list", "events", true, "keeping the events of failed workers"),
    right("list", "secrets", true, "finding secrets that were left over"),
    right("get", "secrets", true, "telling our secrets from others of the same name"),
    right("create", "secrets", true, "handing workers their JIT configuration"),
    right("update", "secrets", true, "handing a worker its JIT configuration again"),
    right("delete", "secrets", true, "removing JIT configurations after use"),
    right("list", "nodes", false, "seeing boards"),
    right("watch", "nodes", false, "seeing boards"),
    right("patch", "nodes/status", false, "advertising enrolled boards, which have no device plugin"),
];

/// Asks the cluster which of [`RIGHTS`] we do not have.
///
/// # Errors
/// When the cluster does not answer the question.
pub async fn missing_rights(connection: &Connection) -> PortResult<Vec<Right>> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(connection.client.clone());
    let mut missing = Vec::new();
    for right in RIGHTS {
        let review = review(right, &connection.namespace);
        let answer = within(ANSWER_WITHIN, reviews.create(&PostParams::default(), &review)).await.map_err(
            |error| error.into_port("review access", format!("{} {}", right.verb, right.resource)),
        )?;
        if !answer.status.is_some_and(|status| status.allowed) {
            missing.push(*right);
        }
    }
    Ok(missing)
}

fn review(right: &Right, namespace: &str) -> SelfSubjectAccessReview {
    let (resource, part) = match right.resource.split_once('/') {
        Some((resource, part)) => (resource, Some(part.to_owned())),
        None => (right.resource, None),
    };
    let attributes = ResourceAttributes {
        verb: Some(right.verb.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: part,
        namespace: right.namespaced.then(|| namespace.to_owned()),
        ..ResourceAttributes::default()
    };
    SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    }
}
