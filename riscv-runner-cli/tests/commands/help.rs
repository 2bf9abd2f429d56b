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
fn a_watch_is_for_people() {
    assert_snapshot!(Folder::new().rrctl(&["status", "--watch", "--format", "json"]));
    assert!(Folder::new().rrctl(&["status", "--every", "1"]).starts_with("exit: 2\n"));
    assert!(Folder::new().rrctl(&["status", "--watch", "--every", "0"]).starts_with("exit: 2\n"));
}
