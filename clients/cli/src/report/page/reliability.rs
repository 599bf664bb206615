//! Confidence against accuracy, before and after calibration.

use graft_client::proto::{Calibration, ReliabilityBin};
use maud::{Markup, html};

use super::svg::{Frame, path, place};
use crate::report::{count, percent};

/// The side of one plot.
const SIDE: f64 = 370.0;
/// The radius of the dot of a bin with all examples, and of one with hardly any.
const DOT: (f64, f64) = (11.0, 3.0);

/// Both plots beside each other; of a head that gives `sets` of labels, a dot is answers about labels.
pub fn plot(found: &Calibration, sets: bool) -> Markup {
    let (of, axes) = if sets {
        let of = "A dot is the answers about test examples and labels of about one probability";
        (of, "probability → part that has the label ↑")
    } else {
        ("A dot is the test examples of about one confidence", "confidence → part that is right ↑")
    };
    html! {
        div.pair {
            figure {
                figcaption { "Before: error " (format!("{:.1}", 100.0 * found.error_before)) " points" }
                (diagram(&found.before, "before calibration", axes))
            }
            figure {
                figcaption { "As served: error " (format!("{:.1}", 100.0 * found.error_after)) " points" }
                (diagram(&found.after, "as served", axes))
            }
        }
        p.note { (of) ", the larger the more there are; the line from it to the diagonal is how far off they are." }
    }
}

fn diagram(bins: &[ReliabilityBin], about: &str, axes: &str) -> Markup {
    let frame = Frame::new(SIDE, SIDE);
    let (across, up) = (frame.across(0.0, 1.0), frame.up(0.0, 1.0));
    let marks: Vec<(f64, String)> = [0.0, 0.25, 0.5, 0.75, 1.0].map(|at| (at, percent(at).replace(".0", ""))).to_vec();
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1) as f64;
    let body = html! {
        (frame.rows(up, &marks))
        (frame.columns(across, &marks))
        path.ideal d=(path([(across.at(0.0), up.at(0.0)), (across.at(1.0), up.at(1.0))].into_iter())) {}
        @for bin in bins.iter().filter(|bin| bin.count > 0) {
            g {
                title {
                    (count(bin.count)) " examples: confidence " (percent(bin.confidence)) ", right " (percent(bin.accuracy))
                }
                line.gap x1=(place(across.at(bin.confidence))) x2=(place(across.at(bin.confidence)))
                    y1=(place(up.at(bin.confidence))) y2=(place(up.at(bin.accuracy))) {}
                circle.dot cx=(place(across.at(bin.confidence))) cy=(place(up.at(bin.accuracy)))
                    r=(place(DOT.1 + (DOT.0 - DOT.1) * (bin.count as f64 / most).sqrt())) {}
            }
        }
        (frame.names(axes))
    };
    frame.plot(&format!("Reliability {about}"), body)
}
