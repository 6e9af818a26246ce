//! Experiments that are right: what the plan says, and what files do to each other.

use emorun_lang::{Code, EdgeKind, Role, Schedule, Section, Sources, Tree, load, to_yaml};

use crate::toy::{GOOD, Toy, check, checked, rejected};

/// An experiment in the manner of guided diffusion: a sampler holds a denoiser and a policy, and
/// the policy learns from what the sampler gives.
const ROLLOUT: &str = "\
name: rollout
split: { kind: folds, k: 3 }
training: { epochs: 1, optimizer: { kind: sgd, lr: 0.1 } }
datasets:
  toy: { kind: corpus, root: /corpora/toy, emotions: [happy, sad] }
encoders:
  mel: { kind: log_mel }
blocks:
  denoiser: { kind: unet, width: 8 }
heads:
  judge: { kind: classifier, input: mel, target: data.emotion }
generators:
  sampler: { kind: rollout, input: mel, uses: { denoiser: denoiser, policy: guide }, steps: 1000 }
policies:
  guide: { kind: guide, input: sampler }
losses:
  ce: { kind: cross_entropy, input: judge }
";

fn names(experiment: &Toy) -> Vec<&str> {
    experiment.plan.nodes().iter().map(|node| node.name.as_str()).collect()
}

#[test]
fn the_plan_of_a_classifier_is_as_people_see_it() {
    let experiment = checked(GOOD);
    insta::assert_snapshot!("plan", experiment.plan.render_table());
    insta::assert_json_snapshot!("plan_json", experiment.plan);
    insta::assert_snapshot!("resolved", to_yaml(&experiment.resolved));
}

#[test]
fn a_rollout_holds_callables_and_the_graph_stays_acyclic() {
    let experiment = checked(ROLLOUT);
    insta::assert_snapshot!("plan_rollout", experiment.plan.render_table());
    let sampler = experiment.plan.node("sampler").unwrap();
    let held: Vec<(&str, &str)> = sampler.uses.iter().map(|held| (&*held.port, &*held.node)).collect();
    assert_eq!(held, [("uses.denoiser", "denoiser"), ("uses.policy", "guide")]);
    assert_eq!(sampler.inputs.len(), 1, "callables are no inputs");
    let order = names(&experiment);
    let at = |name| order.iter().position(|node| *node == name);
    assert!(at("denoiser") < at("sampler"), "what is held comes first where it can");
    assert!(at("sampler") < at("guide"), "what is taken comes first always");
    let guide = experiment.plan.node("guide").unwrap();
    assert_eq!(guide.roles.predict, Role::Held);
    assert_eq!(guide.roles.train, Role::Runs);
    let node = experiment.graph.node("sampler").unwrap();
    assert_eq!(node.edges.iter().filter(|edge| edge.kind == EdgeKind::Uses).count(), 2);
}

#[test]
fn an_augmentation_that_another_holds_is_applied_by_that_alone() {
    let text = GOOD.replace(
        "  louder: { kind: gain, db: [-6, 6] }\n",
        "  level: { kind: one_of, of: [louder, softer] }\n  louder: { kind: gain, db: [0, 6] }\n  softer: { kind: gain, db: [-6, 0] }\n",
    );
    let experiment = checked(&text);
    let role = |name| experiment.plan.node(name).unwrap().roles;
    assert_eq!(
        (role("level").train, role("level").evaluate),
        (Role::Runs, Role::Absent)
    );
    assert_eq!(
        (role("louder").train, role("louder").evaluate),
        (Role::Held, Role::Absent)
    );
    let held: Vec<&str> = experiment
        .plan
        .node("level")
        .unwrap()
        .uses
        .iter()
        .map(|held| &*held.node)
        .collect();
    assert_eq!(held, ["louder", "softer"]);
}

#[test]
fn what_a_policy_acts_on_keeps_its_place() {
    let policy = "policies:\n  level: { kind: steer, reward: run.validation.emotion.uar, acts_on: [louder] }\n";
    let experiment = checked(&format!("{GOOD}{policy}"));
    let louder = experiment.plan.node("louder").unwrap();
    assert_eq!(louder.roles.train, Role::Runs, "it is applied as without the policy");
    let level = experiment.plan.node("level").unwrap();
    assert_eq!(level.roles.train, Role::Runs);
    assert_eq!(level.roles.evaluate, Role::Absent);
    assert_eq!(level.uses[0].node, "louder");
    let reward = &level.inputs[0];
    assert_eq!((&*reward.node, &*reward.node_port), ("run", "validation.emotion.uar"));
}

#[test]
fn schedules_hold_what_losses_metrics_and_outputs_need() {
    let text = GOOD.replace(
        "    target: data.emotion\n",
        "    target: data.emotion\n  spare: { kind: classifier, input: mel }\n",
    );
    let experiment = checked(&text);
    let running = |schedule| {
        let nodes: Vec<&str> = experiment
            .plan
            .running(schedule)
            .map(|node| node.name.as_str())
            .collect();
        nodes.join(" ")
    };
    assert_eq!(running(Schedule::Train), "mel masked emotion ce");
    assert_eq!(running(Schedule::Evaluate), "mel masked emotion ce");
    assert_eq!(running(Schedule::Predict), "mel masked emotion spare");
    let louder = experiment.plan.node("louder").unwrap();
    assert_eq!((louder.roles.train, louder.roles.predict), (Role::Runs, Role::Absent));
}

#[test]
fn the_frozen_prefix_ends_at_the_first_draw_or_trainable_parameter() {
    let text = GOOD
        .replace(
            "mel: { kind: log_mel }",
            "mel: { kind: hubert, input: data.audio, train: none }",
        )
        .replace(
            "blocks:\n",
            "blocks:\n  plain: { kind: fuse, inputs: [mel], width: 8 }\n",
        )
        .replace(
            "losses:\n",
            "  other: { kind: classifier, input: plain, target: data.emotion }\nlosses:\n",
        );
    let frozen = |text: &str| {
        let experiment = checked(text);
        let nodes = experiment.plan.nodes().iter();
        let frozen: Vec<String> = nodes.filter(|node| node.frozen).map(|node| node.name.clone()).collect();
        frozen.join(" ")
    };
    assert_eq!(frozen(&text), "mel");
    assert_eq!(frozen(&text.replace("train: none", "train: { last: 2 }")), "");
}

#[test]
fn hashes_follow_what_a_node_depends_on_and_not_its_name() {
    let hash = |text: &str, name: &str| checked(text).plan.node(name).unwrap().hash.clone();
    let base = hash(GOOD, "emotion");
    assert_eq!(
        base,
        hash(
            &GOOD.replace("mel", "bands_").replace("log_bands_", "log_mel"),
            "emotion"
        )
    );
    assert_eq!(
        base,
        hash(&GOOD.replace("log_mel }", "log_mel, bands: 64 }"), "emotion"),
        "a default written out"
    );
    assert_ne!(
        base,
        hash(&GOOD.replace("log_mel }", "log_mel, bands: 65 }"), "emotion")
    );
    let whole = |text: &str| checked(text).plan.hash().to_owned();
    assert_eq!(whole(GOOD), whole(&format!("# a comment\n{GOOD}")));
    assert_ne!(whole(GOOD), whole(&GOOD.replace("epochs: 5", "epochs: 6")));
}

#[test]
fn the_resolved_file_reads_back_to_itself() {
    for text in [GOOD, ROLLOUT] {
        let first = checked(text);
        let again = checked(&to_yaml(&first.resolved));
        assert_eq!(first.resolved, again.resolved);
        assert_eq!(first.plan, again.plan);
    }
}

#[test]
fn paths_are_absolute_and_floats_stay_short_in_the_resolved_file() {
    let resolved = checked(GOOD).resolved;
    assert_eq!(resolved["datasets"]["toy"]["root"], "/lab/data/toy");
    assert_eq!(resolved["augmentations"]["louder"]["p"].to_string(), "0.3");
    assert_eq!(
        resolved["encoders"]["mel"]["input"], "data.audio",
        "a reference by default"
    );
    assert_eq!(checked(ROLLOUT).resolved["datasets"]["toy"]["root"], "/corpora/toy");
}

#[test]
fn later_files_and_arguments_override_earlier_ones() {
    let derived = "\
extends: [base/good.yaml, patch.yaml]
name: derived
training: { epochs: 9 }
augmentations: { louder: null, softer: { kind: gain, db: [-20, -10] } }
encoders: { mel: { kind: hubert, input: data.audio } }
";
    let files = [
        ("main.yaml", derived),
        ("base/good.yaml", GOOD),
        ("patch.yaml", "training: { epochs: 7, optimizer: { lr: 0.5 } }\n"),
    ];
    let resolve = |sets: &[&str]| {
        check(&files, sets)
            .map(|found| found.resolved)
            .unwrap_or_else(|(report, sources)| panic!("{}", report.render(&sources, false)))
    };
    let plain = resolve(&[]);
    assert_eq!(plain["name"], "derived");
    assert_eq!(plain["training"]["epochs"], 9);
    assert_eq!(plain["training"]["optimizer"]["kind"], "adam", "merged deeply");
    assert_eq!(plain["training"]["optimizer"]["lr"], 0.5);
    assert_eq!(
        plain["augmentations"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["softer"]
    );
    assert_eq!(
        plain["encoders"]["mel"].get("bands"),
        None,
        "another kind replaces the node"
    );

    let set = resolve(&[
        "training.epochs=11",
        "training.optimizer={ kind: sgd, lr: 2 }",
        "augmentations.softer.db.1=-5",
        "training.seeds=[1, 2]",
        "name=\"11\"",
    ]);
    assert_eq!(set["training"]["epochs"], 11);
    assert_eq!(
        set["training"]["optimizer"],
        serde_json::json!({ "kind": "sgd", "lr": 2.0 })
    );
    assert_eq!(set["augmentations"]["softer"]["db"], serde_json::json!([-20.0, -5.0]));
    assert_eq!(set["training"]["seeds"], serde_json::json!([1, 2]));
    assert_eq!(set["name"], "11");
    assert_eq!(resolve(&["augmentations=null"]).get("augmentations"), None);

    // The fields of a mapping that is set are its own; of one that extends, also those below it.
    let betas = |sets: &[&str]| resolve(sets)["training"]["optimizer"]["betas"].clone();
    let custom = "training.optimizer.betas=[0.5, 0.6]";
    assert_eq!(betas(&[custom]), serde_json::json!([0.5, 0.6]));
    assert_ne!(
        betas(&[custom, "training.optimizer={ kind: adam, lr: 1 }"]),
        serde_json::json!([0.5, 0.6])
    );
}

#[test]
fn mistakes_of_several_texts_are_one_report_with_their_own_places() {
    let base = GOOD
        .replace("test: 0.2", "test: 2")
        .replace("db: [-6, 6]", "db: [-6, 6, 1]");
    let derived = "\
extends: base.yaml
name: derived
name: twice
sead: 3
heads:
  emotion: { hiden: 3, input: maskd }
  age: { kind: classifier, input: mel, target: data.age }
blocks:
  left: { kind: fuse, inputs: [right], width: 2 }
  right: { kind: fuse, inputs: [left], width: 2 }
  lonely: { kind: fuse, inputs: [mel], width: 2 }
losses:
  wrong: { kind: cross_entropy, input: mel }
";
    let files = [("main.yaml", derived), ("base.yaml", base.as_str())];
    let (diagnostics, rendered) = rejected(&files, &["training.epochs=none", "split.kind=randm"]);
    let codes: std::collections::BTreeSet<Code> = diagnostics.iter().map(|found| found.code).collect();
    assert!(codes.len() >= 9, "{codes:?}");
    insta::assert_snapshot!("several", rendered);
}

#[test]
fn a_mistake_is_reported_once_and_not_for_what_follows_from_it() {
    let cases = [
        ("log_mel }", "log_mel, bands: 0 }", vec![Code::OutOfRange]),
        ("kind: corpus, root: data/toy", "kind: corpus", vec![Code::MissingKey]),
        (
            "input: masked",
            "inptu: masked",
            vec![Code::MissingKey, Code::UnknownKey],
        ),
        ("kind: spec_augment", "kind: spek_augment", vec![Code::UnknownKind]),
    ];
    for (from, to, codes) in cases {
        let text = GOOD.replace(from, to);
        let (diagnostics, rendered) = rejected(&[("main.yaml", &text)], &[]);
        let found: Vec<Code> = diagnostics.iter().map(|found| found.code).collect();
        assert_eq!(found, codes, "{rendered}");
    }
}

#[test]
fn a_json_diagnostic_has_the_stable_keys() {
    let text = GOOD.replace("epochs: 5", "epochs: 0");
    let Err((report, sources)) = check(&[("main.yaml", &text)], &[]) else {
        panic!("zero epochs were accepted");
    };
    insta::assert_json_snapshot!("diagnostic_json", report.to_json(&sources));
    let coloured = report.render(&sources, true);
    assert!(coloured.contains("\u{1b}[1;31m"), "{coloured}");
}

#[test]
fn places_of_fields_are_found_after_reading() {
    let experiment = checked(GOOD);
    let lr = experiment.tree.at("training.optimizer.lr").unwrap();
    assert_eq!(&GOOD[lr.span.start..lr.span.end], "1.0e-4");
    let second = experiment.tree.at("augmentations.louder.db.1").unwrap();
    assert_eq!(&GOOD[second.span.start..second.span.end], "6");
    assert_eq!(experiment.graph.section(Section::Heads).count(), 1);
}

#[test]
fn records_that_are_not_experiments_are_read_the_same_way() {
    #[derive(serde::Deserialize, schemars::JsonSchema, Debug)]
    #[serde(deny_unknown_fields)]
    struct Sweep {
        /// The runs.
        runs: Vec<Run>,
    }
    #[derive(serde::Deserialize, schemars::JsonSchema, Debug)]
    #[serde(deny_unknown_fields)]
    struct Run {
        /// Its label.
        label: String,
        /// What is set.
        #[serde(default)]
        set: std::collections::BTreeMap<String, serde_json::Value>,
    }
    let read = |text: &str| {
        let mut sources = Sources::new();
        let mut report = emorun_lang::Report::new();
        let tree: Option<Tree> = load(
            "runs.yaml",
            &[],
            &mut |_| Ok(text.to_owned()),
            &mut sources,
            &mut report,
        );
        let record = emorun_lang::read_record::<Sweep>(tree.unwrap(), std::path::Path::new("/"), &mut report);
        record.ok_or_else(|| report.render(&sources, false))
    };
    let sweep =
        read("runs:\n- { label: a, set: { training.epochs: 3, heads.x: [1, {b: c}] } }\n- { label: b }\n").unwrap();
    assert_eq!(sweep.runs.len(), 2);
    assert_eq!(sweep.runs[0].label, "a");
    assert_eq!(sweep.runs[0].set["training.epochs"], 3);
    let message = read("runs:\n- { lable: a }\n").unwrap_err();
    assert!(
        message.contains("did you mean `label`?") && message.contains("runs.yaml:2:"),
        "{message}"
    );
}

#[test]
fn kinds_are_read_wherever_kind_stands_and_written_with_it_in_front() {
    use crate::toy::Optimizer;

    let written = r#"{"kind":"sgd","lr":0.5}"#;
    for text in [written, r#"{"lr":0.5,"kind":"sgd"}"#] {
        let optimizer: Optimizer = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&optimizer).unwrap(), written);
    }
    for (text, message) in [
        (r#"{"lr":0.5}"#, "missing field `kind`"),
        (r#"{"kind":"sgd","rl":0.5}"#, "unknown field `rl`"),
        (r#"{"kind":"lion","lr":0.5}"#, "unknown variant `lion`"),
    ] {
        let error = serde_json::from_str::<Optimizer>(text).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
    let swapped = GOOD.replace("kind: adam, lr: 1.0e-4", "lr: 1.0e-4, kind: adam");
    assert_eq!(checked(&swapped).resolved, checked(GOOD).resolved);
}
