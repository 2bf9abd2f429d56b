//! `rrctl board probe` on machines of which only the files are here.

use insta::assert_snapshot;

use crate::run::Folder;

fn machine(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    for (path, text) in files {
        std::fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
        folder.write(path, text);
    }
    folder
}

fn harts(marchid: &str, mimpid: &str) -> String {
    format!(
        "processor\t: 0\nisa\t: rv64imafdcv\nmvendorid\t: 0x710\nmarchid\t: {marchid}\nmimpid\t: {mimpid}\n"
    )
}

#[test]
fn a_known_board_is_named() {
    let k1 = harts("0x8000000058000001", "0x1000000049772200");
    let folder = machine(&[("proc/cpuinfo", &k1), ("proc/device-tree/model", "Banana Pi BPI-F3\0")]);
    assert_snapshot!(folder.rrctl(&["board", "probe", "--root", "."]));
    let json = folder.rrctl_out(&["board", "probe", "--root", ".", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["board"], &json["harts"][0]["mvendorid"]), (&"spacemit-k1".into(), &"0x710".into()));
}

#[test]
fn an_old_kernel_leaves_the_device_tree() {
    let compatible = "scaleway,em-rv1-c4m16s128-a\0thead,light\0";
    let folder = machine(&[
        ("proc/cpuinfo", "processor\t: 0\n"),
        ("sys/firmware/devicetree/base/compatible", compatible),
    ]);
    assert_snapshot!(folder.rrctl(&["board", "probe", "--root", "."]));
}

#[test]
fn an_unknown_board_is_an_error_that_tells_its_identity() {
    let folder = machine(&[("proc/cpuinfo", &harts("0x1", "0x2"))]);
    assert_snapshot!(folder.rrctl(&["board", "probe", "--root", "."]));
    assert_snapshot!(machine(&[]).rrctl(&["board", "probe", "--root", "."]));
}
