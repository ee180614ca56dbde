//! `vae completions` and `train --completions`: what shells complete.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{done, process, refused, train, vae};

#[test]
fn every_shell_has_a_script() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = done(&train(dir.path()).args(["--completions", shell]).output().unwrap());
        assert!(script.contains("train __complete") || script.contains("_train train"), "{shell}: {script}");
        let both = done(&vae(dir.path(), &["completions", shell]));
        assert!(both.contains(script.trim_end()) && both.contains("vae"), "{shell}: {both}");
    }
    for shell in ["elvish", "powershell"] {
        let script = done(&vae(dir.path(), &["completions", shell]));
        assert!(script.contains("no-report") && script.contains("reconstruct"), "{shell}: {script}");
    }
    refused(&vae(dir.path(), &["completions", "cmd"]), 2, &["bash", "fish"]);
    refused(&train(dir.path()).args(["--completions", "cmd"]).output().unwrap(), 2, &["bash", "fish"]);
    refused(&train(dir.path()).args(["--completions", "bash", "--quiet"]).output().unwrap(), 2, &["--completions"]);
}

/// What bash, which is where the tests run, makes of a line after Tab.
fn completed(dir: &Path, line: &str) -> Vec<String> {
    let program = line.split(' ').next().unwrap();
    // As bash calls it: the program is found by the PATH.
    let script = format!(
        "source ./completions; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; _{program} 2> errors; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let folder = Path::new(process("vae", dir).get_program()).parent().unwrap().to_owned();
    let path = std::env::join_paths([folder, "/usr/bin".into(), "/bin".into()]).unwrap();
    let mut bash = Command::new("bash");
    bash.current_dir(dir).args(["--noprofile", "--norc", "-c", &script]).env("PATH", path).stdin(Stdio::null());
    let words = done(&bash.output().unwrap());
    assert_eq!(fs::read_to_string(dir.join("errors")).unwrap(), "");
    words.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_recipes_and_keys() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("completions"), done(&vae(dir.path(), &["completions", "bash"]))).unwrap();
    for (line, words) in [
        ("train --ten", &["--tensorboard"][..]),
        ("vae train --ten", &["--tensorboard"]),
        ("vae de", &["decode"]),
        ("vae e", &["explore", "evaluate", "encode", "export"]),
        ("vae draw runs/a latent", &["latent-grid"]),
        ("vae draw runs/a kl --thr", &["--threads"]),
        ("vae reconstruct runs/a te", &["test"]),
        ("vae paper res", &["residual"]),
        ("vae export runs/a --part de", &["decoder"]),
        ("train --recipe quick", &["quickstart"]),
        ("train --device g", &["gpu"]),
        ("train --set loss.bet", &["loss.beta=", "loss.beta_neg="]),
        // Only what follows = is replaced.
        (
            "train --set loss.kind=",
            &["beta", "weighted", "tc", "iwae", "dip", "mmd", "factor", "csvae", "vae-gan", "soft-intro"],
        ),
        ("train --limit 9 --set loss.kind=t", &["tc"]),
        ("train --set model.batch_norm=f", &["false"]),
        ("train --sweep loss.schedule=linear,free", &["linear,free-bits"]),
        ("train --sweep loss.alpha+loss.ga", &["loss.alpha+loss.gamma="]),
        ("vae config loss.be", &["loss.beta", "loss.beta_neg"]),
        ("vae completions z", &["zsh"]),
        // Files are left to the shell.
        ("train --recipe my", &[]),
        ("train --out ", &[]),
    ] {
        assert_eq!(completed(dir.path(), line), words, "{line}");
    }
    assert!(completed(dir.path(), "vae ").len() >= 14);
    assert!(completed(dir.path(), "train --set ").contains(&"train.epochs=".to_owned()));
}
