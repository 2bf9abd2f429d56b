//! HTTP doubles: stateful servers that check what they get, for testing adapters and the binary.

#[cfg(feature = "collector")]
pub mod collector;
pub mod github;
pub mod kube;
