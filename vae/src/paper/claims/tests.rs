//! Tests of verdicts on chosen values.

use super::verdict::{Lack, Measured, Sign, Verdict, evaluate, format_values};
use super::*;
use crate::paper::{PAPERS, Paper, PaperOptions};

/// A claim about one group of runs a, b, c, …
fn claim(rule: &str, runs: usize, more: &str) -> Claim {
    let names = ["a", "b", "c", "d"].map(|name| format!("\"{name}\""))[..runs].join(", ");
    let text = format!(
        "[[claims]]\nid = \"x\"\npaper = \"mnist\"\nsection = \"1\"\nsays = \"y\"\nquantity = \"total\"\n\
         rule = \"{rule}\"\nruns = [[{names}]]\n{more}\n"
    );
    parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")).remove(0)
}

/// The sign for the values of one seed.
fn sign(claim: &Claim, values: &[f64]) -> Sign {
    claim.sign(&claim.runs[0], values)
}

/// A value, or why there is none.
type Found = std::result::Result<f64, Lack>;

/// Values by run, seed and quantity, and the run that has not converged.
struct Values<F> {
    of: F,
    falling: &'static str,
}

impl<F: Fn(&str, u64, &str) -> Found> Measured for Values<F> {
    fn value(&self, run: &str, seed: u64, quantity: &str) -> Found {
        (self.of)(run, seed, quantity)
    }

    fn unsettled(&self, run: &str, _: u64) -> Option<String> {
        (run == self.falling).then(|| format!("{run} has not converged"))
    }
}

/// Runs that have all converged.
fn done<F: Fn(&str, u64, &str) -> Found>(of: F) -> Values<F> {
    Values { of, falling: "" }
}

/// The value at a place. An infinity stands for a run that diverged, and a negative one for a run that has not ended.
fn at(claim: &Claim, values: &[&[f64]], run: &str, seed: u64) -> Found {
    let i = claim.runs[0].iter().position(|name| name == run).unwrap();
    match values[seed as usize - 1][i] {
        f64::INFINITY => Err(Lack::NoValue(format!("{run} diverged"))),
        f64::NEG_INFINITY => Err(Lack::NotRun(format!("{run} has not run"))),
        value => Ok(value),
    }
}

/// The verdict on values, by seed and run.
fn verdict(claim: &Claim, values: &[&[f64]]) -> (Verdict, String) {
    let seeds: Vec<u64> = (1..=values.len() as u64).collect();
    let judged = evaluate(claim, &seeds, false, &done(|run: &str, seed: u64, _: &str| at(claim, values, run, seed)));
    (judged.verdict, judged.why)
}

#[test]
fn every_rule_holds_fails_and_is_undecided_where_it_should() {
    use Sign::{Alike, Fails, Holds};
    let within = "within = 0.1";
    type Case<'a> = (&'a [f64], Sign);
    let cases: &[(&str, &str, &[Case])] = &[
        (
            "rises",
            within,
            &[
                (&[1.0, 2.0, 3.0], Holds),
                (&[1.0, 1.05, 3.0], Holds), // a step within the tolerance
                (&[2.0, 1.95, 3.0], Holds),
                (&[1.0, 3.0, 2.0], Fails),
                (&[3.0, 2.0, 1.0], Fails),
                (&[1.0, 1.05, 1.1], Alike),
            ],
        ),
        (
            "falls",
            within,
            &[
                (&[3.0, 2.0, 1.0], Holds),
                (&[1.0, 2.0, 0.5], Fails),
                (&[-1.0, -2.0, -3.0], Holds),
                (&[2.0, 2.1, 1.95], Alike),
            ],
        ),
        ("lowest", within, &[(&[1.0, 2.0, 3.0], Holds), (&[1.0, 0.5, 3.0], Fails), (&[1.0, 1.05, 3.0], Alike)]),
        ("highest", within, &[(&[3.0, 2.0, 1.0], Holds), (&[3.0, 4.0, 1.0], Fails), (&[3.0, 2.9, 1.0], Alike)]),
        ("alike", within, &[(&[1.0, 1.05, 1.1], Holds), (&[1.0, 1.05, 1.2], Fails)]),
        ("no-better", within, &[(&[1.0, 0.95, 5.0], Holds), (&[1.0, 1.0, 0.8], Fails)]),
        ("under", "bound = 2.0", &[(&[1.0, 1.5, 0.0], Holds), (&[1.0, 2.0, 0.0], Fails)]),
        ("over", "bound = 2.0", &[(&[3.0, 2.5, 9.0], Holds), (&[3.0, 2.0, 9.0], Fails)]),
        (
            "equals",
            "printed = { a = 1.0, b = 2.0, c = 3.0 }",
            &[(&[1.0, 2.0, 3.0], Holds), (&[1.0, 2.0, 3.0000001], Fails)],
        ),
    ];
    for (rule, more, values) in cases {
        let claim = claim(rule, 3, more);
        values.iter().for_each(|(values, want)| assert_eq!(sign(&claim, values), *want, "{rule} {values:?}"));
    }
    let little = claim("no-better", 2, "floor = 0.01");
    assert_eq!(
        [[0.006, 0.008], [0.006, 0.5], [0.5, 0.006]].map(|values| sign(&little, &values)),
        [Alike, Holds, Fails]
    );
    let floor = claim("falls", 2, "within = 0.0\nfloor = 0.01");
    assert_eq!([[0.006, 0.0], [0.5, 0.4]].map(|values| sign(&floor, &values)), [Alike, Holds]);
}

#[test]
fn a_direction_must_hold_for_every_seed() {
    let two = claim("rises", 2, "seeds = 2");
    let (up, down, flat) = (&[1.0, 2.0][..], &[2.0, 1.0][..], &[1.0, 1.001][..]);
    assert_eq!(verdict(&two, &[up, up]).0, Verdict::Reproduced);
    assert_eq!(verdict(&two, &[down, down]).0, Verdict::Contradicted);
    for (values, words) in [
        (&[up, down][..], "mixed: the runs show this direction with seed 1, but not with seed 2"),
        (&[up, flat], "do not differ by more than the tolerance (seed 2)"),
        (&[down, flat], "do not differ"),
        (&[up], "requires 2 seeds, and there is 1"),
        (&[down], "requires 2 seeds, and there is 1"),
    ] {
        let (verdict, why) = verdict(&two, values);
        assert!(verdict == Verdict::Undecided && why.contains(words), "{values:?}: {verdict}, {why}");
    }
    let corrected = claim("rises", 2, "correction = \"a sign\"");
    assert_eq!(verdict(&corrected, &[up]).0, Verdict::Corrected);
    assert_eq!(verdict(&corrected, &[down]).0, Verdict::Contradicted);
}

#[test]
fn values_that_are_not_finite_decide_nothing() {
    let rises = claim("rises", 2, "");
    for (values, words) in [([1.0, f64::NAN], "total of b is NaN"), ([f64::INFINITY, 1.0], "a diverged")] {
        let (verdict, why) = verdict(&rises, &[&values]);
        assert!(verdict == Verdict::Undecided && why.contains(words), "{why}");
    }
    // A seed that confirms the claim does not make up for one without a value.
    assert_eq!(verdict(&rises, &[&[1.0, 2.0], &[1.0, f64::INFINITY]]).0, Verdict::Undecided);
    let never = claim("rises", 2, "not-comparable = \"by eye\"\nnot-quick = \"small\"");
    assert_eq!(verdict(&never, &[&[1.0, 2.0]]), (Verdict::NotComparable, "by eye".into()));
    let quick = claim("rises", 2, "not-quick = \"small\"");
    let measure = done(|run: &str, _: u64, _: &str| Ok(if run == "a" { 1.0 } else { 2.0 }));
    assert_eq!(evaluate(&quick, &[1], true, &measure).why, "small");
    let full = evaluate(&quick, &[1], false, &measure);
    assert_eq!((full.verdict, format_values(&full.values, "b", "total").as_str()), (Verdict::Reproduced, "2.0000"));
    assert_eq!(evaluate(&quick, &[], false, &measure).verdict, Verdict::Undecided);
}

#[test]
fn a_difference_has_no_sign_and_every_group_counts() {
    let text = "[[claims]]\nid = \"x\"\npaper = \"mnist\"\nsection = \"1\"\nsays = \"y\"\nquantity = \"total\"\n\
                minus = \"kl\"\nrule = \"falls\"\nruns = [[\"a\", \"b\"], [\"b\", \"c\"]]\n";
    let claim = parse(text).unwrap().remove(0);
    let gaps = |c: f64| {
        done(move |run: &str, _: u64, quantity: &str| {
            let gap = [("a", -3.0), ("b", 2.0), ("c", c)].iter().find(|(name, _)| *name == run).unwrap().1;
            Ok(if quantity == "kl" { 10.0 } else { 10.0 + gap })
        })
    };
    assert_eq!(evaluate(&claim, &[1], false, &gaps(1.0)).verdict, Verdict::Reproduced);
    let mixed = evaluate(&claim, &[1], false, &gaps(-4.0));
    assert!(mixed.verdict == Verdict::Undecided && mixed.why.contains("in one group of runs, but not in another"));
    assert_eq!(evaluate(&claim, &[1], false, &gaps(2.0)).verdict, Verdict::Undecided);
}

/// A seed whose runs have not ended does not count, a group without runs leaves the claim open, and one that fails decides it.
#[test]
fn seeds_and_groups_without_runs_do_not_count() {
    let two = claim("rises", 2, "seeds = 2");
    let (up, down, not) = (&[1.0, 2.0][..], &[2.0, 1.0][..], &[1.0, f64::NEG_INFINITY][..]);
    assert_eq!(verdict(&two, &[up, up, not]), (Verdict::Reproduced, "the runs show this direction (seed 1, 2)".into()));
    let (open, why) = verdict(&two, &[up, not]);
    assert!(open == Verdict::Undecided && why.contains("requires 2 seeds, and there is 1"), "{why}");
    assert_eq!(verdict(&two, &[not, not]), (Verdict::Undecided, "b has not run".into()));
    let one = evaluate(&claim("rises", 2, ""), &[1, 2], false, &done(|run, seed, _| at(&two, &[up, not], run, seed)));
    assert_eq!((one.words().as_str(), one.seeds), ("reproduced (one seed)", vec![1]));

    let mut groups = claim("rises", 2, "");
    groups.runs.push(vec!["b".into(), "c".into()]);
    let half = |values: &'static [f64]| {
        let measured = done(move |run: &str, _: u64, _: &str| match run {
            "a" => Ok(values[0]),
            "b" => Ok(values[1]),
            _ => Err(Lack::NotRun("c has not run".into())),
        });
        let judged = evaluate(&groups, &[1], false, &measured);
        (judged.verdict, judged.why)
    };
    let (open, why) = half(&[1.0, 2.0]);
    assert!(
        open == Verdict::Undecided && why.contains("c has not run; the runs show this direction in 1 of 2"),
        "{why}"
    );
    assert_eq!(half(&[2.0, 1.0]).0, Verdict::Contradicted);
    assert_eq!(verdict(&claim("rises", 2, ""), &[down]).0, Verdict::Contradicted);
}

#[test]
fn runs_that_have_not_converged_or_have_collapsed_decide_nothing() {
    let judged = |more: &str, kl: f64| {
        let claim = claim("rises", 2, more);
        let of = move |run: &str, _: u64, quantity: &str| match quantity {
            "kl" => Ok(kl),
            _ => Ok(if run == "a" { 1.0 } else { 2.0 }),
        };
        let judged = evaluate(&claim, &[1], false, &Values { of, falling: "b" });
        (judged.verdict, judged.why)
    };
    assert_eq!(judged("", 5.0), (Verdict::Undecided, "b has not converged".into()));
    assert_eq!(judged("any-length = true", 5.0).0, Verdict::Reproduced);
    assert_eq!(judged("any-length = true\nneeds-latents = true", 5.0).0, Verdict::Reproduced);
    let (open, why) = judged("any-length = true\nneeds-latents = true", 0.05);
    assert!(open == Verdict::Undecided && why.starts_with("a has collapsed with seed 1: its KL is 0.05"), "{why}");
    assert_eq!(judged("any-length = true", 0.05).0, Verdict::Reproduced);
}

#[test]
fn an_invalid_claim_is_refused_by_name() {
    let base = "[[claims]]\nid = \"x\"\npaper = \"mnist\"\nsection = \"1\"\nsays = \"y\"\n";
    let ruled = "quantity = \"total\"\nrule = \"rises\"\nruns = [[\"a\", \"b\"]]\n";
    for (more, words) in [
        ("", "neither a rule nor a reason"),
        ("wide = 1", "unknown field"),
        ("rule = \"rises\"\nquantity = \"loss\"\nruns = [[\"a\", \"b\"]]", "\"loss\", which no run has"),
        ("rule = \"rises\"\nquantity = \"kl\"\nruns = [[\"a\"]]", "2 runs or more"),
        ("rule = \"rises\"\nquantity = \"kl\"", "2 runs or more"),
        ("rule = \"under\"\nquantity = \"kl\"\nruns = [[\"a\"]]", "needs a bound"),
        ("rule = \"equals\"\nquantity = \"kl\"\nruns = [[\"a\"]]", "without a printed value"),
        (&format!("{ruled}bound = 1.0"), "needs a bound with under or over, and with nothing else"),
        (&format!("{ruled}within = 1.5"), "tolerance"),
        (&format!("{ruled}floor = -1.0"), "floor"),
        (&format!("{ruled}seeds = 0"), "at least one seed"),
        (&format!("{ruled}printed = {{ z = 1.0 }}"), "\"z\""),
        (&format!("{ruled}{base}{ruled}"), "occurs twice"),
    ] {
        let error = parse(&format!("{base}{more}")).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains(words), "{more}: {error}");
        assert!(error.to_string().starts_with("claims.toml"), "{error}");
    }
}

/// There are at least twenty claims, some of every paper, and all are about runs that the paper has.
#[test]
fn the_file_is_valid_and_complete() {
    let claims = all().unwrap();
    assert!(claims.len() >= 20, "{}", claims.len());
    for (name, _) in PAPERS {
        let paper = Paper::named(name).unwrap();
        let plan = |quick| {
            let asked = PaperOptions { quick, seeds: vec![1], ..PaperOptions::default() };
            paper.plan(&asked, std::path::Path::new("runs")).unwrap()
        };
        let (full, quick) = (plan(false), plan(true));
        let mine: Vec<&Claim> = claims.iter().filter(|claim| claim.paper == name).collect();
        assert!(mine.iter().filter(|claim| claim.rule.is_some()).count() >= 2, "{name}");
        for claim in mine {
            for run in claim.runs.iter().flatten() {
                assert!(full.iter().any(|planned| planned.run == *run), "{}: there is no run {run}", claim.id);
            }
            let here = |group: &Vec<String>| group.iter().all(|run| quick.iter().any(|planned| planned.run == *run));
            let decided = claim.rule.is_none() || claim.not_quick.is_some() || claim.runs.iter().any(here);
            assert!(decided, "{}: --quick has no group of its runs, and does not say why", claim.id);
        }
    }
    assert!(claims.iter().all(|claim| PAPERS.iter().any(|(name, _)| *name == claim.paper)));
}
