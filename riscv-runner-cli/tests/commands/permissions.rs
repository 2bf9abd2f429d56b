//! Files of secrets that everybody on the machine may read.

use std::{path::Path, process::Command};

use crate::run::Folder;

/// By the judgement of coreutils.
fn lives_in_memory(path: &Path) -> bool {
    let output = Command::new("stat").args(["--file-system", "--format=%T"]).arg(path).output().unwrap();
    matches!(String::from_utf8(output.stdout).unwrap().trim(), "tmpfs" | "ramfs")
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("hook.secret", "0123456789abcdef");
    folder.write("tls.key", "-----BEGIN PRIVATE KEY-----");
    folder.write("kubeconfig", "apiVersion: v1");
    let text = "[store]\nurl = \"postgres://localhost/rrctl\"\n\
                [server]\ntls_certificate = \"tls.crt\"\ntls_private_key_file = \"tls.key\"\n\
                [cluster]\nkubeconfig = \"kubeconfig\"\n\
                [github]\nwebhook_secrets_files = [\"hook.secret\"]\n\
                [[github.apps]]\nkind = \"user\"\napp_id = 7\nprivate_key = \"-----BEGIN RSA PRIVATE KEY-----\"\n\
                [[pools]]\nname = \"k1\"\nimage = \"runner:1\"\nnode_selector = { board = \"k1\" }\n\
                [[routes]]\nlabels = [\"riscv\"]\npool = \"k1\"\n";
    folder.write("rrctl.toml", text);
    folder
}

#[test]
fn files_that_everybody_may_read_are_told_where_they_lie_on_a_disk() {
    let folder = folder();
    let judged = !lives_in_memory(folder.path());
    for (file, key) in [
        ("hook.secret", "rrctl.toml:9: github.webhook_secrets_files[0]"),
        ("tls.key", "rrctl.toml:5: server.tls_private_key_file"),
        ("kubeconfig", "rrctl.toml:7: cluster.kubeconfig"),
    ] {
        for (mode, open) in [(0o600, false), (0o440, false), (0o644, true), (0o602, true)] {
            folder.set_mode(file, mode);
            let told = folder.rrctl(&["config", "check"]);
            let warning = format!("{key}: {file} is accessible to every user of this machine");
            assert_eq!(told.contains(&warning), open && judged, "{file} {mode:o}: {told}");
            assert_eq!(told.contains(&format!("hint: chmod o= {file}")), open && judged, "{told}");
            let strict = folder.rrctl(&["config", "check", "--strict"]);
            assert_eq!(strict.starts_with("exit: 2\n"), open && judged, "{strict}");
        }
        let nowhere = [("HOME", "/nowhere"), ("RRCTL_GITHUB__API_URL", "http://127.0.0.1:1")];
        let doctor = folder.rrctl_with(&["doctor"], &nowhere);
        assert_eq!(doctor.contains("is accessible to every user"), judged, "{doctor}");
        folder.set_mode(file, 0o600);
    }
}
