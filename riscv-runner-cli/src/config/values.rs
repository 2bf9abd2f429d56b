//! The domain's own types as settings: what they refuse, a configuration refuses.

use riscv_runner_core::{
    entity::EntityKind,
    ids::{AppId, EntityId, ImageRef, Login, PoolName, RepoName},
    labels::LabelSet,
    policy::{Cap, NamePrefix, Sharing},
    routing::{EntityPattern, LabelMatch, RepoPattern},
};

use super::{
    setting::{Fault, Read, Setting, from_text, quoted, text, wrong_kind},
    tree::{Node, Value},
};

macro_rules! text_setting {
    ($($name:ident, $wanted:literal;)*) => {$(
        impl Setting for $name {
            fn read(node: &Node) -> Read<Self> {
                from_text(node, $wanted, |text| Self::new(text))
            }
            fn show(&self) -> String {
                quoted(self.as_str())
            }
        }
    )*};
}

text_setting! {
    PoolName, "the name of a pool";
    ImageRef, "an image";
    Login, "a login";
    RepoName, "a repository";
    NamePrefix, "text";
}

macro_rules! number_setting {
    ($($name:ident)*) => {$(
        impl Setting for $name {
            fn read(node: &Node) -> Read<Self> {
                Self::new(i64::read(node)?).map_err(|error| vec![Fault::new(error.to_string())])
            }
            fn show(&self) -> String {
                self.to_string()
            }
            fn kind() -> &'static str {
                "number"
            }
        }
    )*};
}

number_setting! { AppId EntityId }

/// One of a few words.
fn word<T: Copy>(node: &Node, words: &[(&str, T)]) -> Read<T> {
    let names = || words.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(" or ");
    let found = text(node, &names())?;
    words
        .iter()
        .find(|(name, _)| *name == found)
        .map(|(_, value)| *value)
        .ok_or_else(|| vec![Fault::new(format!("must be {}, not {found:?}", names()))])
}

impl Setting for EntityKind {
    fn read(node: &Node) -> Read<Self> {
        word(node, &[("organization", Self::Organization), ("user", Self::User)])
    }
    fn show(&self) -> String {
        quoted(match self {
            Self::Organization => "organization",
            Self::User => "user",
        })
    }
}

impl Setting for Sharing {
    fn read(node: &Node) -> Read<Self> {
        word(node, &[("fifo", Self::Fifo), ("fair", Self::Fair)])
    }
    fn show(&self) -> String {
        quoted(match self {
            Self::Fifo => "fifo",
            Self::Fair => "fair",
        })
    }
}

impl Setting for LabelMatch {
    fn read(node: &Node) -> Read<Self> {
        word(node, &[("exact", Self::Exact), ("subset", Self::Subset)])
    }
    fn show(&self) -> String {
        quoted(match self {
            Self::Exact => "exact",
            Self::Subset => "subset",
        })
    }
}

impl Setting for Cap {
    fn read(node: &Node) -> Read<Self> {
        if let Value::Text(found) | Value::Untyped(found) = &node.value {
            let found = found.as_str();
            if found == "unlimited" {
                return Ok(Self::Unlimited);
            }
            if matches!(&node.value, Value::Text(_)) {
                return Err(vec![Fault::new(format!("must be a number or \"unlimited\", not {found:?}"))]);
            }
        }
        u32::read(node).map(Self::AtMost)
    }
    fn show(&self) -> String {
        match self {
            Self::AtMost(n) => n.to_string(),
            Self::Unlimited => quoted("unlimited"),
        }
    }
    fn kind() -> &'static str {
        "number or text"
    }
}

impl Setting for LabelSet {
    fn read(node: &Node) -> Read<Self> {
        Self::new(Vec::<String>::read(node)?).map_err(|error| vec![Fault::new(error.to_string())])
    }
    fn show(&self) -> String {
        self.originals().show()
    }
    fn kind() -> &'static str {
        "list"
    }
}

impl Setting for RepoPattern {
    fn read(node: &Node) -> Read<Self> {
        let found = text(node, "owner/name, with * for any name")?;
        if found.split('/').count() != 2 || found.split('/').any(str::is_empty) {
            let fault = Fault::new(format!("must have the form owner/name, not {found:?}"));
            return Err(vec![fault.hint("for example \"owner/*\"")]);
        }
        Self::new(found).map_err(|error| vec![Fault::new(error.to_string())])
    }
    fn show(&self) -> String {
        quoted(&String::from(self.clone()))
    }
}

impl Setting for EntityPattern {
    fn read(node: &Node) -> Read<Self> {
        match &node.value {
            Value::Integer(_) => EntityId::read(node).map(Self::Id),
            Value::Untyped(text) if text.trim().parse::<i64>().is_ok() => EntityId::read(node).map(Self::Id),
            Value::Text(_) | Value::Untyped(_) => Login::read(node).map(Self::Login),
            Value::Boolean(_) | Value::Other(..) | Value::Array(_) | Value::Table(_) => {
                wrong_kind(node, "the id or the login of an account")
            }
        }
    }
    fn show(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Login(login) => quoted(login.as_str()),
        }
    }
    fn kind() -> &'static str {
        "number or text"
    }
}
