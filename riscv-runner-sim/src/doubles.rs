//! HTTP doubles: stateful servers that check what they get, for testing adapters and the binary.

pub mod github;
pub mod kube;
