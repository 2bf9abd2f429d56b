//! How a cluster is reached, and what is said when it is not.

use riscv_runner_k8s::{ConnectError, KubeconfigSource, connect};
use riscv_runner_sim::doubles::kube::KubeDouble;

fn text(yaml: impl Into<String>) -> KubeconfigSource {
    KubeconfigSource::Text(yaml.into().into())
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", chain(cause)))
}

async fn refused(source: &KubeconfigSource, context: Option<&str>) -> ConnectError {
    let outcome = connect(source, context, None).await;
    outcome.err().expect("it cannot be used")
}

#[tokio::test]
async fn a_kubeconfig_may_be_text_or_a_file() {
    let double = KubeDouble::start().await.unwrap();
    let directory = std::env::temp_dir().join(format!("riscv-runner-k8s-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("kubeconfig");
    std::fs::write(&path, double.kubeconfig()).unwrap();
    for source in [text(double.kubeconfig()), KubeconfigSource::File(path)] {
        let connection = connect(&source, Some("double"), None).await.unwrap();
        assert_eq!(connection.namespace(), "default", "the context's");
        connection.client().apiserver_version().await.unwrap();
    }
    std::fs::remove_dir_all(&directory).unwrap();
    let elsewhere = connect(&text(double.kubeconfig()), None, Some("staging")).await.unwrap();
    assert_eq!(elsewhere.namespace(), "staging");
}

#[tokio::test]
async fn a_broken_kubeconfig_is_named_and_never_quoted() {
    let broken = "users:\n- name: x\n  user: {token: very-secret-token\n";
    let error = refused(&text(broken), None).await;
    let said = format!("{} {error:?}", chain(&error));
    assert!(said.contains("K8S_KUBECONFIG") && said.contains("kubectl config view --raw"), "{said}");
    assert!(!said.contains("very-secret-token"), "{said}");
    assert!(!format!("{:?}", text(broken)).contains("very-secret-token"));
}

#[tokio::test]
async fn an_unknown_context_and_a_missing_file_are_named() {
    let double = KubeDouble::start().await.unwrap();
    let error = refused(&text(double.kubeconfig()), Some("elsewhere")).await;
    let said = chain(&error);
    assert!(said.contains("elsewhere") && said.contains("[cluster] context"), "{said}");
    let error = refused(&KubeconfigSource::File("/nowhere/kubeconfig".into()), None).await;
    assert!(chain(&error).contains("/nowhere/kubeconfig"));
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_what_to_mend() {
    use riscv_runner_core::ports::{Cluster, PortErrorKind};
    use riscv_runner_k8s::ClusterOptions;
    let double = KubeDouble::start().await.unwrap();
    let wrong = double.kubeconfig().replace("double-token", "another-token");
    let connection = crate::common::connection(&wrong, "default").await;
    let cluster = crate::common::started(&connection, ClusterOptions::default(), &[]);
    let error = cluster.secrets().await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Denied);
    assert!(error.to_string().contains("renew the kubeconfig"), "{error}");
    assert!(!error.chain().contains("another-token"));
}
