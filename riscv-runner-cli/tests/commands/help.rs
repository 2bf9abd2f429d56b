//! What shells, `man` and a machine without anything get.

use insta::assert_snapshot;

use crate::run::Folder;

#[test]
fn every_shell_completes_every_command() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.rrctl_out(&["completions", shell]);
        for command in ["drain", "retention", "doctor", "set-limit"] {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
    }
    assert!(folder.rrctl(&["completions", "tcsh"]).starts_with("exit: 2\n"));
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = Folder::new();
    let page = folder.rrctl_out(&["man"]);
    assert!(page.contains(".TH rrctl 1"), "{page}");
    let written = folder.rrctl(&["man", "--dir", "pages"]);
    assert!(written.starts_with("exit: 0\n"), "{written}");
    for page in ["rrctl.1", "rrctl-drain.1", "rrctl-doctor.1", "rrctl-entity-set-limit.1"] {
        assert!(folder.path().join("pages").join(page).is_file(), "{page}");
    }
    folder.write("taken", "");
    let refused = folder.rrctl(&["man", "--dir", "taken/pages"]);
    assert!(refused.starts_with("exit: 1\n"), "{refused}");
}

#[test]
fn the_doctor_says_what_is_missing_where_nothing_is() {
    // The kubeconfig is looked for at home.
    assert_snapshot!(Folder::new().rrctl_with(&["doctor"], &[("HOME", "/nowhere")]));
}

#[test]
fn the_doctor_looks_at_the_rest_though_the_configuration_is_broken() {
    let folder = Folder::new();
    folder.write("broken.pem", "no key\n");
    folder.write("kubeconfig", "clusters: [not a kubeconfig");
    let text = "[store]\nurl = \"postgres://rrctl:hunter2@127.0.0.1:1/rrctl\"\n\
                [github]\nwebhook_secrets = [\"0123456789abcdef\"]\n\
                [[github.apps]]\nkind = \"organization\"\napp_id = 7\nprivate_key_file = \"broken.pem\"\n\
                [cluster]\nkubeconfig = \"kubeconfig\"\n[timeouts]\ntick = \"fast\"\n";
    folder.write("rrctl.toml", text);
    let told = folder.rrctl_with(&["doctor"], &[("HOME", "/nowhere")]);
    assert!(told.starts_with("exit: 1\n"), "{told}");
    for found in [
        "github.apps[0].private_key_file: does not hold a private key in PEM form",
        "timeouts.tick: must be a duration",
        "pools: no [[pools]]",
        "fail     database version",
        "warn     organization App key",
        "is not a valid kubeconfig",
    ] {
        assert!(told.contains(found), "{found} is not in {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_watch_is_for_people() {
    assert_snapshot!(Folder::new().rrctl(&["status", "--watch", "--format", "json"]));
    assert!(Folder::new().rrctl(&["status", "--every", "1"]).starts_with("exit: 2\n"));
    assert!(Folder::new().rrctl(&["status", "--watch", "--every", "0"]).starts_with("exit: 2\n"));
}
