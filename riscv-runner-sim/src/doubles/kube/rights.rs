//! Who asks, and what each may do. The program under test may be held to a list of rights; operators, and
//! those who play scheduler and kubelets, may do everything.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderName, header};

use super::{address::Address, faults::Verb, refusal::Refusal};

/// The bearer token of the program under test.
pub(super) const PROGRAM_TOKEN: &str = "double-token";
/// The bearer token of an operator.
pub(super) const OPERATOR_TOKEN: &str = "operator-token";
/// Marks requests of those who play a part; a real API server ignores it.
pub(super) const PLAYER_HEADER: HeaderName = HeaderName::from_static("x-played-by");

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The program under test.
    Program,
    /// A person with all rights.
    Operator,
    /// Who plays scheduler and kubelets.
    Player,
}

/// Who asks; `None` without a token that is ours.
pub(super) fn caller(headers: &HeaderMap) -> Option<Caller> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    let by = match given {
        PROGRAM_TOKEN => Caller::Program,
        OPERATOR_TOKEN => Caller::Operator,
        _ => return None,
    };
    Some(if headers.contains_key(PLAYER_HEADER) { Caller::Player } else { by })
}

/// What the program may do.
#[derive(Debug)]
pub(super) struct Grants {
    namespace: String,
    rights: BTreeSet<(String, String, bool)>,
}

impl Grants {
    pub(super) fn new<'a>(
        namespace: &str,
        rights: impl IntoIterator<Item = (&'a str, &'a str, bool)>,
    ) -> Self {
        let owned = |(verb, resource, namespaced): (&str, &str, bool)| {
            (verb.to_owned(), resource.to_owned(), namespaced)
        };
        Self { namespace: namespace.to_owned(), rights: rights.into_iter().map(owned).collect() }
    }

    /// Whether the verb is granted on the resource, wherever.
    pub(super) fn names(&self, verb: &str, resource: &str) -> bool {
        self.rights.iter().any(|(v, r, _)| v == verb && r == resource)
    }

    /// Refuses what is not granted, as Kubernetes does.
    pub(super) fn check(&self, verb: Verb, address: &Address) -> Result<(), Refusal> {
        let (verb, resource) = (verb.as_str(), address.resource());
        let fits = |(v, r, namespaced): &(String, String, bool)| {
            v == verb && *r == resource && (!namespaced || address.namespace == self.namespace)
        };
        if self.rights.iter().any(fits) {
            return Ok(());
        }
        let place = match &*address.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        let message = format!(
            "{resource} is forbidden: User \"rrctl\" cannot {verb} resource {resource:?} in API group \"\" {place}"
        );
        Err(Refusal::new(403, message))
    }
}
