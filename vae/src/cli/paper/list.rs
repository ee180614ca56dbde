//! `vae paper --list`: the papers and comparisons, what their runs cost, and what the runs in their folders settle.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::time;
use crate::paper::claims;
use crate::paper::claims::verdict::VERDICTS;
use crate::paper::{Paper, PaperOptions, PlannedRun, known};
use crate::say;

/// Prints the papers.
pub(super) fn list() -> Result<ExitCode> {
    for (name, _) in known() {
        let paper = Paper::named(name)?;
        let told = |quick: bool| -> Result<String> {
            let plan =
                paper.plan(&PaperOptions { quick, seeds: vec![1], ..PaperOptions::default() }, Path::new("runs"))?;
            let runs = if plan.len() == 1 { "run" } else { "runs" };
            Ok(format!("{} {runs}, {}", plan.len(), time(&plan.iter().collect::<Vec<&PlannedRun>>())))
        };
        let (claims, full, quick) = (claims::of_paper(name)?.len(), told(false)?, told(true)?);
        let what = if paper.text.is_some() { "a table".into() } else { format!("{claims} claims") };
        say!("{name:15}  {}\n                 {what}; full runs: {full}; --quick: {quick}", paper.title);
        for folder in folders(name) {
            settled(&folder).iter().for_each(|words| say!("                 settled in {}: {words}", folder.display()));
        }
    }
    say!("\nThese times are for one seed on two cores, without scores. A GPU or more cores take less.");
    Ok(ExitCode::SUCCESS)
}

/// Where the results of a paper may be: the kept ones, and those of the default folders.
fn folders(name: &str) -> Vec<PathBuf> {
    [format!("docs/results/{name}"), format!("runs/paper-{name}"), format!("runs/paper-{name}-quick")]
        .map(PathBuf::from)
        .into()
}

/// How many claims have which verdict in a folder; `None` if it has no results.
fn settled(folder: &Path) -> Option<String> {
    let told: Value = serde_json::from_slice(&fs::read(folder.join("claims.json")).ok()?).ok()?;
    let claims = told["claims"].as_array()?;
    if claims.is_empty() {
        return None;
    }
    let count = |word: Value| claims.iter().filter(|judged| judged["verdict"] == word).count();
    let words = VERDICTS.map(|verdict| format!("{} {verdict}", count(serde_json::json!(verdict))));
    Some(words.join(", "))
}
