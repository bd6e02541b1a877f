//! Draws a run: a lane for the server and each device, messages between them, faults, deaths.

use crate::journal::{Entry, Kind, Lane};
use std::collections::BTreeMap;
use std::fmt::Write;

const LANE_HEIGHT: u64 = 90;
const LEFT: u64 = 80;
const TOP: u64 = 60;
/// Pixels between two moments: at least and at most, so that idle hours do not fill the picture.
const GAP: (u128, u128) = (6, 40);

/// The picture of a run as SVG; hovering over a mark tells what it is.
pub(crate) fn draw(title: &str, journal: &[Entry]) -> String {
    let places = places(journal);
    let lanes: BTreeMap<Lane, u64> =
        lanes(journal).into_iter().zip((0..).map(|row| TOP + row * LANE_HEIGHT)).collect();
    let width = places.values().max().copied().unwrap_or(LEFT) + 60;
    let height = TOP + u64::try_from(lanes.len()).unwrap_or(1) * LANE_HEIGHT;
    let mut svg = String::new();
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    line(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">"
    ));
    line("<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>".to_owned());
    line(format!("<text x=\"10\" y=\"22\" font-size=\"14\">{}</text>", escape(title)));
    for (lane, y) in &lanes {
        line(format!("<text x=\"10\" y=\"{}\">{lane}</text>", y + 4));
        line(format!("<line x1=\"{LEFT}\" x2=\"{width}\" y1=\"{y}\" y2=\"{y}\" stroke=\"#bbb\"/>"));
    }
    for message in messages(journal) {
        line(message.draw(&places, &lanes));
    }
    for entry in journal {
        if let Some(mark) = mark(entry, places[&entry.at_ms], lanes[&entry.lane]) {
            line(mark);
        }
    }
    line("</svg>".to_owned());
    svg
}

/// Where each moment is.
fn places(journal: &[Entry]) -> BTreeMap<u128, u64> {
    let mut places = BTreeMap::new();
    let (mut x, mut last) = (LEFT, 0);
    let mut moments: Vec<u128> = journal.iter().map(|entry| entry.at_ms).collect();
    moments.sort_unstable();
    for moment in moments {
        if moment > last {
            x += u64::try_from((moment - last).clamp(GAP.0, GAP.1)).unwrap_or(0);
            last = moment;
        }
        places.insert(moment, x);
    }
    places
}

fn lanes(journal: &[Entry]) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = journal.iter().map(|entry| entry.lane).chain([Lane::Server]).collect();
    lanes.sort_unstable();
    lanes.dedup();
    lanes
}

/// A request or a reply; without an end it was lost.
struct Message<'a> {
    from: &'a Entry,
    to: Option<&'a Entry>,
    /// The lane that it was meant for.
    meant: Lane,
}

fn messages(journal: &[Entry]) -> Vec<Message<'_>> {
    let mut found: Vec<Message<'_>> = Vec::new();
    let mut senders = BTreeMap::new();
    for (index, entry) in journal.iter().enumerate() {
        let later = |kind: Kind| journal[index..].iter().find(|later| later.kind == kind);
        match entry.kind {
            Kind::Sent(number) => {
                senders.insert(number, entry.lane);
                found.push(Message { from: entry, to: later(Kind::Arrived(number)), meant: Lane::Server });
            }
            Kind::Replied(number) => {
                let meant = senders.get(&number).copied().unwrap_or(Lane::Server);
                found.push(Message { from: entry, to: later(Kind::Received(number)), meant });
            }
            _ => {}
        }
    }
    found
}

impl Message<'_> {
    fn draw(&self, places: &BTreeMap<u128, u64>, lanes: &BTreeMap<Lane, u64>) -> String {
        let (x1, y1) = (places[&self.from.at_ms], lanes[&self.from.lane]);
        let title = escape(&self.from.text);
        let title = &title[..title.floor_char_boundary(300)];
        match self.to {
            Some(to) => {
                let (x2, y2) = (places[&to.at_ms], lanes[&to.lane]);
                format!(
                    "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"#36c\"><title>{title}</title></line>"
                )
            }
            None => {
                // It ends half way.
                let (x2, y2) = (x1 + 10, u64::midpoint(y1, lanes[&self.meant]));
                format!(
                    "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"#c33\" stroke-dasharray=\"3 2\">\
                     <title>lost: {title}</title></line><text x=\"{x2}\" y=\"{y2}\" fill=\"#c33\">x</text>"
                )
            }
        }
    }
}

fn mark(entry: &Entry, x: u64, y: u64) -> Option<String> {
    let title = escape(&entry.text);
    let (shape, label) = match entry.kind {
        Kind::Act => (format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"#333\">"), ""),
        Kind::Outcome => (format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"#999\">"), ""),
        Kind::Fault => (format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"5\" fill=\"#e80\">"), "fault"),
        Kind::Killed => (format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"6\" fill=\"#c33\">"), "killed"),
        Kind::Opened => (format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"5\" fill=\"#393\">"), "opens"),
        Kind::Sent(_) | Kind::Arrived(_) | Kind::Replied(_) | Kind::Received(_) => return None,
    };
    let mut svg = format!("{shape}<title>{} ms: {title}</title></circle>", entry.at_ms);
    if !label.is_empty() {
        write!(svg, "<text x=\"{}\" y=\"{}\" font-size=\"9\">{label}</text>", x.saturating_sub(8), y + 16)
            .expect("a String takes every write");
    }
    Some(svg)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
