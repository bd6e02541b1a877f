//! Curves of time and memory over the number of rows.

use crate::measure::Usage;
use plotters::prelude::*;
use std::path::Path;

type Outcome = Result<(), Box<dyn std::error::Error>>;
type Curve<'a> = (&'a str, RGBColor, Vec<(f64, f64)>);

/// Draws `time.svg` and `memory.svg` in a folder.
pub(crate) fn draw(folder: &Path, points: &[(usize, Usage, Usage)]) -> Outcome {
    std::fs::create_dir_all(folder)?;
    let curve = |of: &dyn Fn(&(usize, Usage, Usage)) -> f64| {
        points.iter().map(|point| (point.0 as f64, of(point))).collect::<Vec<_>>()
    };
    let time = [
        ("push", BLUE, curve(&|(_, pushed, _)| pushed.cpu)),
        ("hydrate", RED, curve(&|(_, _, hydrated)| hydrated.cpu)),
    ];
    chart(&folder.join("time.svg"), "client CPU, seconds", &time)?;
    let mebibytes = |usage: &Usage| usage.peak / (1024.0 * 1024.0);
    let memory = [
        ("push", BLUE, curve(&|(_, pushed, _)| mebibytes(pushed))),
        ("hydrate", RED, curve(&|(_, _, hydrated)| mebibytes(hydrated))),
    ];
    chart(&folder.join("memory.svg"), "peak memory, MiB", &memory)
}

fn chart(file: &Path, title: &str, curves: &[Curve<'_>]) -> Outcome {
    let area = SVGBackend::new(file, (720, 400)).into_drawing_area();
    area.fill(&WHITE)?;
    let points = || curves.iter().flat_map(|(_, _, points)| points);
    let largest = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::MIN_POSITIVE, f64::max);
    let least = points().map(|point| point.0).fold(f64::MAX, f64::min);
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(
            (least..largest(|point| point.0)).log_scale(),
            0.0..largest(|point| point.1) * 1.1,
        )?;
    chart.configure_mesh().x_desc("rows").light_line_style(WHITE).draw()?;
    for (name, colour, points) in curves {
        let colour = *colour;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    area.present()?;
    Ok(())
}
