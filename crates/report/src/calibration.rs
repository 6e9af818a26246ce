//! How far probabilities can be taken at their word.

use emorun_evaluation::{Calibrated, Classifier, Fit};
use emorun_figures::{Figure, ReliabilityBin, ReliabilityDiagram};
use emorun_metrics::Coverage;

use crate::section::Block;
use crate::table::{Cell, Row, Table};
use crate::text::plain;

/// The reliability diagram, where there is one.
pub(crate) fn reliability(title: &str, own: &Calibrated) -> Option<Figure> {
    let bins = own.reliability.as_ref()?;
    let bins = bins.bins.iter().filter_map(|bin| {
        Some(ReliabilityBin {
            confidence: bin.confidence?,
            accuracy: bin.accuracy?,
            items: bin.n,
        })
    });
    let chart = ReliabilityDiagram {
        title: title.to_owned(),
        bins: bins.collect(),
        ece: own.ece,
    };
    Some(chart.draw())
}

/// Calibration, conformal sets and divergence from raters' votes, as far as they are known.
pub(crate) fn tables(fit: Option<&Fit>, found: &Classifier) -> Vec<Block> {
    let mut blocks = vec![Block::Table(calibration(fit, found))];
    blocks.extend(
        found
            .calibration
            .remark
            .as_ref()
            .map(|remark| Block::Text(vec![sentence(remark)])),
    );
    blocks.extend(conformal(found).map(Block::Table));
    blocks.extend(votes(found).map(Block::Table));
    blocks
}

/// A remark as a sentence of its own.
fn sentence(remark: &str) -> String {
    let mut letters = remark.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let text: String = first.chain(letters).chain(['.']).collect();
    plain(&text)
}

fn calibration(fit: Option<&Fit>, found: &Classifier) -> Table {
    let own = &found.calibration;
    let after = own.after.as_ref();
    let temperature = fit.and_then(|fit| fit.temperature.as_ref());
    let values = [
        (
            "ECE, 15 bins of equal width",
            own.before.ece,
            after.and_then(|own| own.ece),
        ),
        ("Brier score", own.before.brier, after.and_then(|own| own.brier)),
        ("log loss", own.before.log_loss, after.and_then(|own| own.log_loss)),
    ];
    let row = |(name, before, after): (&str, Option<f64>, Option<f64>)| match own.after {
        Some(_) => Row::new([Cell::text(name), Cell::decimal(before), Cell::decimal(after)]),
        None => Row::new([Cell::text(name), Cell::decimal(before)]),
    };
    let at = temperature.map(|own| {
        format!(
            "at temperature {:.3}, fitted on {} validation items",
            own.value, own.items
        )
    });
    let at = at.unwrap_or_else(|| "at the temperature".to_owned());
    let start = ["measure", "as it is"].map(str::to_owned);
    Table {
        name: "calibration".to_owned(),
        caption: "Calibration".to_owned(),
        header: start.into_iter().chain(own.after.is_some().then_some(at)).collect(),
        rows: values.into_iter().map(row).collect(),
    }
}

fn conformal(found: &Classifier) -> Option<Table> {
    let own = found.conformal.as_ref()?;
    let row = |name: &str, own: &Coverage| {
        Row::new([
            Cell::text(name),
            Cell::count(own.items),
            Cell::share(Some(own.coverage)),
            Cell::number(Some(own.mean_size), |size| format!("{size:.2}")),
            Cell::share(Some(own.single)),
            Cell::share(Some(own.empty)),
        ])
    };
    let all = row("all", &own.coverage);
    let speakers = own.by_speaker.iter().map(|(speaker, own)| row(speaker, own));
    let made = match own.made_here {
        true => " Made of these very items, so that the coverage says nothing new.",
        false => " What coverage promises does not hold across speakers.",
    };
    let header = ["whose items", "items", "coverage", "mean size", "one class", "empty"];
    Some(Table {
        name: "conformal".to_owned(),
        caption: format!(
            "Split-conformal sets for {:.0} %, from {} validation items.{made}",
            100.0 * own.sets.level,
            own.sets.items
        ),
        header: header.map(str::to_owned).into(),
        rows: std::iter::once(all).chain(speakers).collect(),
    })
}

fn votes(found: &Classifier) -> Option<Table> {
    let own = found.votes.as_ref()?;
    let all = Row::new([
        Cell::text("all"),
        Cell::count(own.divergence.items),
        Cell::decimal(Some(own.divergence.kl)),
        Cell::decimal(Some(own.divergence.jsd)),
        Cell::share(None),
    ]);
    let thirds = own.by_agreement.iter().map(|third| {
        Row::new([
            Cell::text(&third.third),
            Cell::count(third.divergence.items),
            Cell::decimal(Some(third.divergence.kl)),
            Cell::decimal(Some(third.divergence.jsd)),
            Cell::share(Some(third.top_agrees)),
        ])
    });
    let header = ["agreement of raters", "items", "KL", "JSD in bits", "top class agrees"];
    Some(Table {
        name: "votes".to_owned(),
        caption: "Beside the votes of raters".to_owned(),
        header: header.map(str::to_owned).into(),
        rows: std::iter::once(all).chain(thirds).collect(),
    })
}
